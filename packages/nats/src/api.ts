import { AppError } from '@daruma/protocol'
import type { Msg } from 'nats'
import type { Requester } from './requester.ts'

/** An error as JetStream's API tells it. `err_code` is stable; `description` is for people. */
export interface JetStreamError {
  readonly code: number
  readonly err_code?: number
  readonly description?: string
}

/** The codes of JetStream that this package decides by. */
export const jetStreamCodes = {
  wrongLastSequence: 10_071,
  /** Another append to the same subject is on its way, and not decided yet. */
  appendInProcess: 10_164,
  /** A new leader has not caught up yet. */
  leaderNotReady: 10_163,
  streamNotFound: 10_059,
  consumerNotFound: 10_014,
  messageNotFound: 10_037,
  workQueueConsumerNotUnique: 10_100,
  streamFull: 10_077,
  notEnabledForAccount: 10_039,
  notEnabled: 10_076,
  replicasNeedCluster: 10_074,
} as const

/** The answer of a JetStream API call, decoded; its error, if it has one, as a value. */
export async function callApi<T extends object>(
  requester: Requester,
  call: string,
  input: object | undefined,
  options: { readonly repeatable: boolean },
): Promise<(T & { readonly error?: undefined }) | { readonly error: JetStreamError }> {
  const payload = input === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(input))
  return jsonOf(await requester.request(`$JS.API.${call}`, payload, options))
}

export function jsonOf<T>(reply: Msg): T {
  return JSON.parse(Buffer.from(reply.data.buffer, reply.data.byteOffset, reply.data.byteLength).toString()) as T
}

/** What a refusal of JetStream means to callers of our ports. */
export function apiError(what: string, error: JetStreamError): AppError {
  const text = `${what}: ${error.description ?? 'refused'} (JetStream code ${error.err_code ?? error.code})`
  switch (error.err_code) {
    case jetStreamCodes.streamFull:
      return new AppError('unavailable', `${text}; the stream is at its limit: raise the limit or free space`, error)
    case jetStreamCodes.notEnabled:
    case jetStreamCodes.notEnabledForAccount:
      return new AppError(
        'invalid',
        `${text}; start the server with "-js", and enable JetStream for this account`,
        error,
      )
    case jetStreamCodes.replicasNeedCluster:
      return new AppError('invalid', `${text}; durability "replica" needs a cluster of three servers`, error)
    default:
      return new AppError('unavailable', text, error)
  }
}

/** Where a message stands, as its reply subject tells. */
export interface Position {
  readonly deliveries: number
  readonly seq: number
  /** Counts what the consumer has given. */
  readonly count: number
}

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; some servers put two tokens more in front. */
export function positionOf(reply: string): Position {
  const tokens = reply.split('.')
  const at = tokens.length > 9 ? 6 : 4
  return { deliveries: Number(tokens[at]), seq: Number(tokens[at + 1]), count: Number(tokens[at + 2]) }
}
