#!/usr/bin/env node
import { main } from './cli.ts'

// What still runs in this process must not keep it: the command has ended.
process.exit(await main(process.argv.slice(2)))
