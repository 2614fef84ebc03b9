#!/usr/bin/env node
import { main } from './cli.ts'

// Set, not called: what is still being written to the terminal is written first.
process.exitCode = await main(process.argv.slice(2))
