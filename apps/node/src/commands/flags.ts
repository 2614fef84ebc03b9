import { formatProblem, type Problem } from '@daruma/registry'
import type { LoadOptions } from '../app.ts'

/** Options that every command which loads an app takes. */
export interface GlobalFlags {
  readonly nats?: string
  readonly cluster?: string
  readonly node?: string
  readonly data?: string
  readonly set?: readonly string[]
  readonly override?: readonly string[]
  readonly logLevel?: string
  readonly json?: boolean
}

export function loadOptions(folder: string, flags: GlobalFlags): LoadOptions {
  return {
    folder,
    env: process.env,
    settings: flags.set ?? [],
    overrides: flags.override ?? [],
    ...(flags.nats === undefined ? {} : { nats: flags.nats }),
    ...(flags.cluster === undefined ? {} : { cluster: flags.cluster }),
    ...(flags.node === undefined ? {} : { node: flags.node }),
    ...(flags.data === undefined ? {} : { dataFolder: flags.data }),
    ...(flags.logLevel === undefined ? {} : { logLevel: flags.logLevel }),
  }
}

export function reportWarnings(warnings: readonly Problem[], flags: GlobalFlags): void {
  if (flags.json === true) return
  for (const warning of warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`)
}
