import type { Spawnable, SpawnOptions } from '@daruma/actors'
import type { ExitReason } from '@daruma/protocol'
import type { Backoff, BackoffSpec, Intensity, RestartType } from './restart.ts'
import { backoffDefaults } from './restart.ts'

/** Who is restarted when one child crashes: it alone; all; it and those that were started after it. */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

/** Whether the supervisor ends when significant children have ended by themselves: on the first, or on the last. */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant'

export type ChildType = 'worker' | 'supervisor'

/** Milliseconds between the exit signal `shutdown` and `kill`; `brutal_kill` kills at once, `infinity` never. */
export type ShutdownMs = number | 'brutal_kill' | 'infinity'

/** Made anew for each start: for code, names or options that follow from the arguments. */
export interface StartRecipe {
  // A recipe is made for one process; what it is given is nobody else's to check.
  readonly start: Spawnable<any, any, any>
  readonly args?: unknown
  /** Instead of the child spec's own. */
  readonly name?: string
  readonly spawn?: ChildSpawnOptions
}

/** A start by recipe. `startWith` makes it. */
export class StartWith<A> {
  readonly make: (args: A) => StartRecipe

  constructor(make: (args: A) => StartRecipe) {
    this.make = make
  }
}

/**
 * Starts whatever `make` answers, asked anew for each start and restart. One that throws is a start that failed.
 * What it will make is not known before: say `type: 'supervisor'` where it makes supervisors.
 */
export function startWith<A = undefined>(make: (args: A) => StartRecipe): StartWith<A> {
  return new StartWith(make)
}

/** What a child is started from: code as it stands, or a recipe. */
export type ChildStart<A = undefined> = Spawnable<any, any, A> | StartWith<A>

/** How a child's process is spawned; it is always linked, and its arguments and name stand in the child spec. */
export type ChildSpawnOptions = Omit<SpawnOptions<unknown>, 'args' | 'link' | 'name'>

/** What children of every kind have in common. Unknown keys are ignored. */
export interface ChildTemplate<A = undefined> {
  readonly start: ChildStart<A>
  /** Default permanent. */
  readonly restart?: RestartType
  /** Default 5,000 for a worker, `infinity` for a supervisor, whose own children need their time. */
  readonly shutdownMs?: ShutdownMs
  /** How long `init` may take; the half-started process is then killed and the start has failed. Default `infinity`. */
  readonly startTimeoutMs?: number | 'infinity'
  /** Default: what `start` is. Only counted and printed, and decides the default of `shutdownMs`. */
  readonly type?: ChildType
  /** Absent: restarted at once, as in OTP. */
  readonly backoff?: BackoffSpec
  /** Reasons after which even a permanent child is not restarted: it is left without a process. Default: none. */
  readonly isTerminal?: (reason: ExitReason) => boolean
  readonly spawn?: ChildSpawnOptions
}

/** What a supervisor knows of one child. */
export interface ChildSpec<A = any> extends ChildTemplate<A> {
  /** Unique within the supervisor. */
  readonly id: string
  /** What `init` is given, at each start the same. */
  readonly args?: NoInfer<A>
  /** Registered for the process, before its `init` runs. */
  readonly name?: string
  /** Its end by itself may end the supervisor (`autoShutdown`). Not with restart permanent. Default false. */
  readonly significant?: boolean
}

export interface FullChildSpec {
  readonly id: string
  readonly start: ChildStart<any>
  readonly args: unknown
  readonly name: string | undefined
  readonly spawn: ChildSpawnOptions | undefined
  readonly restart: RestartType
  readonly shutdownMs: ShutdownMs
  readonly startTimeoutMs: number | 'infinity'
  readonly type: ChildType
  readonly significant: boolean
  readonly backoff: Backoff | undefined
  readonly isTerminal: ((reason: ExitReason) => boolean) | undefined
}

/** The limits of a supervisor as a whole. */
export interface SupervisorFlags {
  /** Default one_for_one. */
  readonly strategy?: Strategy
  /** Restarts allowed within `periodMs`; one more and the supervisor gives up with `shutdown`. Default 1. */
  readonly intensity?: Intensity
  /** Counted in whole seconds, rounded down. Default 5,000. */
  readonly periodMs?: number
  /** Default never. */
  readonly autoShutdown?: AutoShutdown
}

/** A supervisor and its children, in start order. `A`: what each child is started with, so that `args` are checked. */
export interface SupervisorSpec<A extends readonly unknown[] = any> extends SupervisorFlags {
  readonly children: readonly [...{ readonly [K in keyof A]: ChildSpec<A[K]> }]
}

export interface FullSupervisorSpec {
  readonly strategy: Strategy
  readonly intensity: Intensity
  readonly periodMs: number
  readonly autoShutdown: AutoShutdown
  readonly children: readonly FullChildSpec[]
}

export const flagDefaults = Object.freeze({
  strategy: 'one_for_one',
  intensity: 1,
  periodMs: 5_000,
  autoShutdown: 'never',
} as const satisfies Required<SupervisorFlags>)

const defaultShutdownMs = 5_000
const supervises: unique symbol = Symbol('supervises')

/** Marks code as that of a supervisor, so that as a child it has `infinity` to stop. */
export function markSupervisor<T extends object>(code: T): T {
  return Object.defineProperty(code, supervises, { value: true })
}

export function isSupervisorCode(code: unknown): boolean {
  return supervises in Object(code)
}

/** The spec with its defaults filled in (rule 44). */
export function completeSpec(spec: SupervisorSpec): FullSupervisorSpec {
  return {
    strategy: spec.strategy ?? flagDefaults.strategy,
    intensity: spec.intensity ?? flagDefaults.intensity,
    periodMs: spec.periodMs ?? flagDefaults.periodMs,
    autoShutdown: spec.autoShutdown ?? flagDefaults.autoShutdown,
    children: spec.children.map(completeChildSpec),
  }
}

/** The child spec with its defaults filled in (rule 44). */
export function completeChildSpec(spec: ChildSpec): FullChildSpec {
  const type = spec.type ?? (isSupervisorCode(spec.start) ? 'supervisor' : 'worker')
  return {
    id: spec.id,
    start: spec.start,
    args: spec.args,
    name: spec.name,
    spawn: spec.spawn,
    restart: spec.restart ?? 'permanent',
    shutdownMs: spec.shutdownMs ?? (type === 'supervisor' ? 'infinity' : defaultShutdownMs),
    startTimeoutMs: spec.startTimeoutMs ?? 'infinity',
    type,
    significant: spec.significant ?? false,
    backoff: spec.backoff === undefined ? undefined : { ...backoffDefaults, ...spec.backoff },
    isTerminal: spec.isTerminal,
  }
}
