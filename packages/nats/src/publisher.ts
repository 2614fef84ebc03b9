import { AppError } from '@daruma/protocol'
import type { MsgHdrs } from 'nats'
import { apiError, callApi, jetStreamCodes, jsonOf, type JetStreamError } from './api.ts'
import type { Requester } from './requester.ts'

export type PublishAnswer =
  | { readonly kind: 'stored'; readonly seq: number }
  /** Compare-and-set met another end than the header named. The server does not always tell which. */
  | { readonly kind: 'conflict'; readonly lastSeq: number | undefined }

interface PublishAck {
  readonly seq?: number
  readonly error?: JetStreamError
}

/** Kept free of each payload's limit for the subject line and our headers. */
export const headerReserveBytes = 1_024

/**
 * Publishes to a stream and resolves when the server has stored it. Transient refusals are retried until the time limit.
 *
 * @throws AppError timeout or unavailable - see Requester: it may have been stored, unless the text says otherwise
 */
export async function publishStored(
  requester: Requester,
  subject: string,
  payload: Uint8Array,
  headers: MsgHdrs | undefined,
  repeatable: boolean,
): Promise<PublishAnswer> {
  const options = { repeatable, ...(headers === undefined ? {} : { headers }) }
  for (let attempt = 1; ; attempt++) {
    const ack = jsonOf<PublishAck>(await requester.request(subject, payload, options))
    if (ack.error === undefined) return { kind: 'stored', seq: ack.seq! }
    switch (ack.error.err_code) {
      case jetStreamCodes.wrongLastSequence: {
        const told = /: (\d+)$/.exec(ack.error.description ?? '')
        return { kind: 'conflict', lastSeq: told === null ? undefined : Number(told[1]) }
      }
      case jetStreamCodes.appendInProcess:
      case jetStreamCodes.leaderNotReady:
        if (attempt >= 20) throw apiError(subject, ack.error)
        await new Promise<void>((resolve) => requester.retry(resolve))
        break
      default:
        throw apiError(subject, ack.error)
    }
  }
}

export interface StoredMessage {
  readonly subject: string
  readonly seq: number
  readonly bytes: Uint8Array
  /** When the server stored it, by its clock. */
  readonly storedAtMs: number
  /** Of a key-value bucket: the key was deleted. */
  readonly isDeletion: boolean
}

export type MessageQuery = { readonly last_by_subj: string } | { readonly seq: number }

interface StoredAnswer {
  readonly message: {
    readonly subject: string
    readonly seq: number
    readonly data?: string
    readonly hdrs?: string
    readonly time: string
  }
}

/**
 * One message of a stream; undefined: there is none. `direct` asks whoever has a copy, which is fresh only where there is one copy;
 * otherwise the stream's leader answers.
 */
export async function readMessage(
  requester: Requester,
  stream: string,
  query: MessageQuery,
  direct: boolean,
): Promise<StoredMessage | undefined> {
  return direct ? readDirect(requester, stream, query) : readFromLeader(requester, stream, query)
}

async function readDirect(
  requester: Requester,
  stream: string,
  query: MessageQuery,
): Promise<StoredMessage | undefined> {
  const payload = Buffer.from(JSON.stringify(query))
  const reply = await requester.request(`$JS.API.DIRECT.GET.${stream}`, payload, { repeatable: true })
  const { headers } = reply
  if (headers === undefined) throw new AppError('unavailable', `stream ${stream}: an answer without headers`)
  if (headers.code === 404) return undefined
  if (headers.code >= 300) {
    throw new AppError('unavailable', `stream ${stream}: ${headers.code} ${headers.description}`)
  }
  return {
    subject: headers.get('Nats-Subject'),
    seq: Number(headers.get('Nats-Sequence')),
    bytes: new Uint8Array(reply.data),
    storedAtMs: Date.parse(headers.get('Nats-Time-Stamp')),
    isDeletion: headers.has('KV-Operation'),
  }
}

async function readFromLeader(
  requester: Requester,
  stream: string,
  query: MessageQuery,
): Promise<StoredMessage | undefined> {
  const answer = await callApi<StoredAnswer>(requester, `STREAM.MSG.GET.${stream}`, query, { repeatable: true })
  if (answer.error !== undefined) {
    if (answer.error.err_code === jetStreamCodes.messageNotFound || answer.error.code === 404) return undefined
    throw apiError(`stream ${stream}`, answer.error)
  }
  const { subject, seq, data, hdrs, time } = answer.message
  return {
    subject,
    seq,
    bytes: new Uint8Array(Buffer.from(data ?? '', 'base64')),
    storedAtMs: Date.parse(time),
    isDeletion: hdrs !== undefined && Buffer.from(hdrs, 'base64').includes('KV-Operation:'),
  }
}
