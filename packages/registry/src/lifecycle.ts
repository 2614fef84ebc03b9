import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { anyKind, count, defined, duration, oneOrMany, open, ref, text } from './schema.ts'

/** Who a service or program acts as. */
export interface SecurityBlock {
  readonly actor?: { readonly id: string; readonly meta: Readonly<Record<string, unknown>> }
  readonly policies: readonly EntryId[]
  readonly groups: readonly string[]
}

export interface RestartPolicy {
  readonly initialDelayMs: number
  readonly maxDelayMs: number
  readonly backoffFactor: number
  /** Share of the delay by which it may be longer or shorter: 0.1 is plus or minus 10 %. */
  readonly jitter: number
  /** 0: no limit. */
  readonly maxAttempts: number
}

/** How a service is started, kept up and stopped. */
export interface Lifecycle {
  readonly autoStart: boolean
  readonly startTimeoutMs: number
  readonly stopTimeoutMs: number
  /** A run longer than this forgets earlier failed attempts. */
  readonly stableThresholdMs: number
  /** Started before, stopped after. `requires` and its other name `depends_on` together. */
  readonly requires: readonly EntryId[]
  readonly restart: RestartPolicy
  readonly security?: SecurityBlock
}

export const securityBlock = v.pipe(
  v.object({
    actor: v.optional(v.object({ id: text(), meta: v.optional(open(), {}) })),
    policies: v.optional(v.array(ref(['security.policy', 'security.policy.*'])), []),
    groups: v.optional(v.array(text()), []),
  }),
  v.transform(({ actor, policies, groups }): SecurityBlock => ({ ...defined({ actor }), policies, groups })),
)

const restart = v.pipe(
  v.object({
    initial_delay: v.optional(duration(), '1s'),
    max_delay: v.optional(duration(), '90s'),
    backoff_factor: v.optional(v.pipe(v.number(), v.minValue(1)), 2),
    jitter: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.1),
    max_attempts: v.optional(count(), 0),
  }),
  v.transform((written): RestartPolicy => ({
    initialDelayMs: written.initial_delay,
    maxDelayMs: written.max_delay,
    backoffFactor: written.backoff_factor,
    jitter: written.jitter,
    maxAttempts: written.max_attempts,
  })),
)

export const lifecycle = v.optional(
  v.pipe(
    v.object({
      auto_start: v.optional(v.boolean(), false),
      start_timeout: v.optional(duration(), '10s'),
      stop_timeout: v.optional(duration(), '10s'),
      stable_threshold: v.optional(duration(), '5s'),
      requires: v.optional(oneOrMany(ref(anyKind)), []),
      depends_on: v.optional(oneOrMany(ref(anyKind)), []),
      restart: v.optional(restart, {}),
      security: v.optional(securityBlock),
    }),
    v.transform((written): Lifecycle => ({
      autoStart: written.auto_start,
      startTimeoutMs: written.start_timeout,
      stopTimeoutMs: written.stop_timeout,
      stableThresholdMs: written.stable_threshold,
      requires: [...new Set([...written.requires, ...written.depends_on])],
      restart: written.restart,
      ...defined({ security: written.security }),
    })),
  ),
  {},
)
