import { Tagged, parseDurationMs, isAppError } from '@daruma/protocol'
import type {
  CallOptions,
  IdConflictPolicy,
  IdReusePolicy,
  ParentClosePolicy,
  RetryPolicy,
  SpawnOptions,
} from '@daruma/protocol'
import { kindOfLua } from '../../error-object.ts'
import { invalid } from './args.ts'
import { durationTag } from './duration.ts'

/** Options as a program wrote them: dotted keys (`["activity.retry_policy"]`), nested tables, or both. */
export type OptionTable = Readonly<Record<string, unknown>>

const workflowPrefixes = ['temporal.workflow', 'workflow'] as const
const activityPrefixes = ['temporal.activity', 'activity'] as const

/** Nearly every call has no options, and looking for each of them costs more than the call. */
function isEmpty(options: OptionTable): boolean {
  for (const _key in options) return false
  return true
}

/** Keys that nobody knows are passed over: an option may be meant for another host. */
export function callOptions(options: OptionTable): CallOptions {
  if (isEmpty(options)) return {}
  const read = reader(options, activityPrefixes)
  const plain = reader(options, [''])
  const retry = retryPolicy(read) ?? retryPolicy(plain) ?? plainRetry(plain)
  const cancellation = read.word('cancellation_type', {
    try_cancel: 'try',
    wait_cancellation_completed: 'wait',
    try: 'try',
    wait: 'wait',
    abandon: 'abandon',
  } as const)
  return given({
    startToCloseMs: read.duration('start_to_close_timeout') ?? plain.duration('timeout'),
    scheduleToCloseMs: read.duration('schedule_to_close_timeout'),
    scheduleToStartMs: read.duration('schedule_to_start_timeout'),
    heartbeatMs: read.duration('heartbeat_timeout'),
    taskQueue: read.text('task_queue'),
    retry,
    cancellation,
  })
}

export function spawnOptions(options: OptionTable): SpawnOptions {
  if (isEmpty(options)) return {}
  const read = reader(options, workflowPrefixes)
  const conflict: IdConflictPolicy | undefined =
    read.get('execution_error_when_already_started') === true
      ? 'fail'
      : read.word('id_conflict_policy', {
          use_existing: 'use_existing',
          fail: 'fail',
          terminate_existing: 'terminate_existing',
        } as const)
  const reuse: IdReusePolicy | undefined = read.word('id_reuse_policy', {
    allow_duplicate: 'allow_duplicate',
    allow_duplicate_failed_only: 'allow_duplicate_failed_only',
    reject_duplicate: 'reject_duplicate',
  } as const)
  const parentClose: ParentClosePolicy | undefined = read.word('parent_close_policy', {
    terminate: 'terminate',
    abandon: 'abandon',
    cancel: 'cancel',
    request_cancel: 'cancel',
  } as const)
  return given({
    workflowId: read.text('id'),
    idConflict: conflict,
    idReuse: reuse,
    parentClose,
    executionTimeoutMs: read.duration('execution_timeout'),
    runTimeoutMs: read.duration('run_timeout'),
    startDelayMs: read.duration('start_delay'),
    retry: retryPolicy(read),
    cronSchedule: read.text('cron_schedule'),
    memo: read.record('memo'),
    searchAttributes: read.record('search_attributes'),
  })
}

function retryPolicy(read: Reader): RetryPolicy | undefined {
  const types = read.get('retry_policy.non_retryable_error_types')
  const policy: RetryPolicy = given({
    maximumAttempts: read.number('retry_policy.maximum_attempts'),
    initialIntervalMs: read.duration('retry_policy.initial_interval'),
    backoffCoefficient: read.number('retry_policy.backoff_coefficient'),
    maximumIntervalMs: read.duration('retry_policy.maximum_interval'),
    nonRetryableKinds: Array.isArray(types) ? types.map((type) => kindText(String(type))) : undefined,
  })
  return Object.keys(policy).length === 0 ? undefined : policy
}

/** The short form, `retry = { max_attempts, initial_delay, max_delay, backoff_factor }`, with milder defaults. */
function plainRetry(read: Reader): RetryPolicy | undefined {
  const retry = read.get('retry')
  if (retry === undefined || retry === false) return undefined
  return {
    maximumAttempts: read.number('retry.max_attempts') ?? 3,
    initialIntervalMs: read.duration('retry.initial_delay') ?? 100,
    backoffCoefficient: read.number('retry.backoff_factor') ?? 2,
    maximumIntervalMs: read.duration('retry.max_delay') ?? 5_000,
  }
}

/** "NotFound" is our not_found; a name that is none of ours is kept as it is. */
function kindText(type: string): string {
  const kind = kindOfLua(type)
  return kind === 'unknown' ? type : kind
}

interface Reader {
  get(key: string): unknown
  text(key: string): string | undefined
  number(key: string): number | undefined
  duration(key: string): number | undefined
  record(key: string): Readonly<Record<string, unknown>> | undefined
  word<T extends string>(key: string, words: Readonly<Record<string, T>>): T | undefined
}

function reader(options: OptionTable, prefixes: readonly string[]): Reader {
  const get = (key: string): unknown => {
    for (const prefix of prefixes) {
      const found = pick(options, (prefix === '' ? key : `${prefix}.${key}`).split('.'))
      if (found !== undefined && found !== null) return found
    }
    return undefined
  }
  const wrong = (key: string, wanted: string, found: unknown): never => {
    throw invalid(
      `option ${[prefixes[1] ?? '', key].join('.').replace(/^\./, '')}: expected ${wanted}, got ${typeof found === 'string' ? `"${found}"` : typeof found}`,
    )
  }
  return {
    get,
    text(key) {
      const found = get(key)
      return found === undefined || typeof found === 'string' ? found : wrong(key, 'text', found)
    },
    number(key) {
      const found = get(key)
      return found === undefined || typeof found === 'number' ? found : wrong(key, 'a number', found)
    },
    duration(key) {
      const found = get(key)
      if (found === undefined) return undefined
      if (found instanceof Tagged && found.tag === durationTag) return Number(found.value) / 1e6
      if (typeof found !== 'string' && typeof found !== 'number') return wrong(key, 'a duration', found)
      try {
        return parseDurationMs(found)
      } catch (error) {
        return isAppError(error) ? wrong(key, 'a duration such as "30s"', found) : wrong(key, 'a duration', found)
      }
    },
    record(key) {
      const found = get(key)
      if (found === undefined) return undefined
      return typeof found === 'object' && !Array.isArray(found)
        ? (found as Record<string, unknown>)
        : Array.isArray(found) && found.length === 0
          ? {}
          : wrong(key, 'a table with names', found)
    },
    word(key, words) {
      const found = get(key)
      if (found === undefined) return undefined
      const word = typeof found === 'string' ? words[found.toLowerCase()] : undefined
      return word ?? wrong(key, Object.keys(words).join(' or '), found)
    },
  }
}

/** The value at a path whose keys may themselves hold dots. */
function pick(node: unknown, path: readonly string[]): unknown {
  if (path.length === 0) return node
  if (typeof node !== 'object' || node === null) return undefined
  for (let length = path.length; length > 0; length--) {
    const inner = (node as Record<string, unknown>)[path.slice(0, length).join('.')]
    const found = inner === undefined ? undefined : pick(inner, path.slice(length))
    if (found !== undefined) return found
  }
  return undefined
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the fields that are undefined. */
function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>
}
