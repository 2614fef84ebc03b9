import { createFengariEngine } from '../src/fengari/engine.ts'
import type {
  Base,
  Engine,
  HostValue,
  LibrarySpec,
  Limits,
  LuaValue,
  Proc,
  RunResult,
  SpawnProc,
} from '../src/engine.ts'
import { toData } from '../src/value.ts'

/** One engine for a test file: units and libraries are shared as in a real host. */
export interface Bench {
  readonly engine: Engine
  readonly base: Base
}

export function bench(globals?: LibrarySpec): Bench {
  const engine = createFengariEngine()
  return { engine, base: engine.base(globals) }
}

export interface Started {
  readonly proc: Proc
  readonly lines: string[]
  readonly warnings: string[]
  /** Resumes until idle or ended, through preemptions. */
  run(): RunResult
}

export interface StartOptions {
  readonly globals?: Record<string, HostValue>
  readonly limits?: Partial<Limits>
  readonly args?: readonly HostValue[]
  readonly main?: NonNullable<SpawnProc['main']>
  readonly before?: NonNullable<SpawnProc['before']>
  readonly local?: unknown
  readonly revive?: NonNullable<SpawnProc['revive']>
  readonly name?: string
  readonly random?: number
}

export function start({ engine, base }: Bench, source: string, options: StartOptions = {}): Started {
  const lines: string[] = []
  const warnings: string[] = []
  const { name = 'test.lua', random = 0.25, ...rest } = options
  const proc = engine.spawn({
    unit: engine.compile(source, name),
    base,
    ports: {
      nowMs: () => 1_700_000_000_123,
      random: () => random,
      print: (line) => lines.push(line),
      warn: (message, where) => warnings.push(`${where} ${message}`),
    },
    ...rest,
  })
  return {
    proc,
    lines,
    warnings,
    run() {
      for (;;) {
        const result = proc.resume()
        if (result.kind !== 'preempted') return result
      }
    },
  }
}

/** What a program that must come to an end at once returns, as data. */
export function evaluate(on: Bench, source: string, options?: StartOptions): unknown[] {
  const result = start(on, source, options).run()
  if (result.kind !== 'done') throw new Error(`expected done, got ${describe(result)}`)
  return result.values.map((value: LuaValue) => toData(value))
}

export function failure(on: Bench, source: string, options?: StartOptions): Extract<RunResult, { kind: 'error' }> {
  const result = start(on, source, options).run()
  if (result.kind !== 'error') throw new Error(`expected error, got ${describe(result)}`)
  return result
}

const describe = (result: RunResult): string =>
  result.kind === 'error' ? `error ${result.message}\n${result.traceback}` : result.kind
