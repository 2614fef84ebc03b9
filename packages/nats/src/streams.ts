import { AppError } from '@daruma/protocol'
import { apiError, callApi, jetStreamCodes } from './api.ts'
import type { Requester } from './requester.ts'
import type { Names } from './subjects.ts'

/** What this package cares about in a stream, in JetStream's own words. Times in nanoseconds, 0 and -1: no limit. */
export interface StreamShape {
  readonly name: string
  readonly description: string
  readonly subjects: readonly string[]
  readonly retention: 'limits' | 'workqueue'
  readonly storage: 'file'
  readonly discard: 'new'
  readonly num_replicas: number
  readonly max_age: 0
  readonly max_msgs: -1
  readonly max_msgs_per_subject: number
  readonly duplicate_window: number
  readonly allow_direct: boolean
  readonly allow_rollup_hdrs: boolean
  readonly deny_delete: boolean
}

/** Operators may set these without being told that the stream is wrong. */
const operatorsOwn: readonly (keyof StreamShape)[] = ['description']

const twoMinutesNs = 120_000_000_000

function shape(name: string, description: string, subject: string, replicas: number): StreamShape {
  return {
    name,
    description,
    subjects: [subject],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    num_replicas: replicas,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    duplicate_window: twoMinutesNs,
    // Direct gets may be answered by a replica that lags behind its leader; with one replica there is none.
    allow_direct: replicas === 1,
    allow_rollup_hdrs: false,
    deny_delete: false,
  }
}

/** Never aged and never cut by a limit: a checkpoint decides what may go, nobody else. */
export function logStream(names: Names, queue: string, replicas: number): StreamShape {
  return shape(names.logStream(queue), `Journals of task queue ${queue}`, names.logSubjects(queue), replicas)
}

export function inboxStream(names: Names, queue: string, replicas: number): StreamShape {
  const limits = shape(
    names.inboxStream(queue),
    `Messages for task queue ${queue}`,
    names.inboxSubjects(queue),
    replicas,
  )
  return { ...limits, retention: 'workqueue' }
}

export function snapshotStream(names: Names, replicas: number): StreamShape {
  const limits = shape(names.snapshotStream, 'Compacted journals', names.snapshotSubjects, replicas)
  return { ...limits, max_msgs_per_subject: 1 }
}

/** In the form of a key-value bucket, so that the server's own tools can read it. */
export function leaseStream(names: Names, replicas: number): StreamShape {
  const limits = shape(`KV_${names.leaseBucket}`, 'Who owns what', names.leaseSubjects, replicas)
  return { ...limits, max_msgs_per_subject: 1, allow_rollup_hdrs: true }
}

interface StreamAnswer {
  readonly config: Record<string, unknown>
}

/**
 * Makes the stream if it is missing. One that is there with another shape is left as it is.
 *
 * @throws AppError invalid - it has another shape: every difference, and what to do
 */
export async function ensureStream(requester: Requester, wanted: StreamShape): Promise<void> {
  const found = await callApi<StreamAnswer>(requester, `STREAM.INFO.${wanted.name}`, undefined, { repeatable: true })
  let config: Record<string, unknown>
  if (found.error === undefined) {
    config = found.config
  } else {
    if (found.error.err_code !== jetStreamCodes.streamNotFound) throw apiError(`stream ${wanted.name}`, found.error)
    // Making a stream that another node just made in the same shape succeeds too.
    const made = await callApi<StreamAnswer>(requester, `STREAM.CREATE.${wanted.name}`, wanted, { repeatable: true })
    if (made.error !== undefined) throw apiError(`making stream ${wanted.name}`, made.error)
    config = made.config
  }
  const differences = differencesOf(wanted, config)
  if (differences.length === 0) return
  throw new AppError(
    'invalid',
    `stream ${wanted.name} is not as this node needs it: ${differences.join('; ')}; correct it with "nats stream edit", or use another prefix`,
    { stream: wanted.name, differences },
  )
}

/** One sentence for each field in which `found` is not `wanted`. A field that the server leaves out has its zero value. */
export function differencesOf(wanted: StreamShape, found: Readonly<Record<string, unknown>>): string[] {
  const differences: string[] = []
  for (const [field, asked] of Object.entries(wanted) as [keyof StreamShape, unknown][]) {
    if (operatorsOwn.includes(field)) continue
    const is = found[field] ?? zeroOf(asked)
    if (JSON.stringify(is) !== JSON.stringify(asked)) {
      differences.push(`${field} is ${JSON.stringify(is)}, needs ${JSON.stringify(asked)}`)
    }
  }
  return differences
}

const zeroOf = (value: unknown): unknown =>
  typeof value === 'boolean' ? false : typeof value === 'number' ? 0 : undefined
