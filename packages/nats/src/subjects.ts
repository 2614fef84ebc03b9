import { AppError } from '@daruma/protocol'

/** The server refuses names of streams and consumers beyond 255; a generation is put behind some. */
const maxNameBytes = 240

const plainBytes = /[A-Za-z0-9_-]/

/**
 * Any text as one token that streams, subjects, consumers and buckets all accept; `unescapeToken` is its inverse.
 * Letters, digits, `-` and `_` stay; every other UTF-8 byte becomes `=` and two hexadecimal digits; no text at all is `=`.
 */
export function escapeToken(text: string): string {
  if (text === '') return '='
  if (/^[A-Za-z0-9_-]+$/.test(text)) return text
  let token = ''
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte)
    token += plainBytes.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return token
}

/** The text that `escapeToken` made `token` of. */
export function unescapeToken(token: string): string {
  if (token === '=') return ''
  if (!token.includes('=')) return token
  return Buffer.from(
    token.replace(/=([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))),
    'latin1',
  ).toString('utf8')
}

/** Every name that this package gives to something on a server. Two prefixes share a server without touching. */
export interface Names {
  logStream(queue: string): string
  logSubjects(queue: string): string
  logSubject(queue: string, partition: string): string
  inboxStream(queue: string): string
  inboxSubjects(queue: string): string
  inboxSubject(queue: string, partition: string): string
  /** Begins the name of every consumer of the partition, whichever its generation. No partition's begins another's. */
  inboxConsumerPrefix(partition: string): string
  readonly leaseBucket: string
  readonly leaseSubjects: string
  leaseSubject(key: string): string
  /** Written only to learn the server's time. No escaped key looks like it. */
  readonly leaseClockSubject: string
  readonly snapshotStream: string
  readonly snapshotSubjects: string
  snapshotSubject(key: string): string
  snapshotPartSubject(key: string, generation: string, part: number): string
  /** Where every node of a cluster says that it lives. */
  clusterHeartbeats(cluster: string): string
  /** What is meant for one life of one node, and for no other. */
  clusterNode(cluster: string, node: string, incarnation: number): string
}

/** @throws AppError invalid - a prefix that is not made of letters, digits, `-` and `_` */
export function namesOf(prefix: string): Names {
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(prefix)) {
    throw new AppError('invalid', `prefix "${prefix}": 1 to 40 letters, digits, "-" or "_" make a prefix`)
  }
  const upper = prefix.toUpperCase()
  const leaseBucket = `${upper}_LEASES`
  return {
    logStream: (queue) => limited('task queue', `${upper}_LOG_${escapeToken(queue)}`),
    logSubjects: (queue) => `${prefix}.log.${escapeToken(queue)}.*`,
    logSubject: (queue, partition) => `${prefix}.log.${escapeToken(queue)}.${escapeToken(partition)}`,
    inboxStream: (queue) => limited('task queue', `${upper}_INBOX_${escapeToken(queue)}`),
    inboxSubjects: (queue) => `${prefix}.inbox.${escapeToken(queue)}.*`,
    inboxSubject: (queue, partition) => `${prefix}.inbox.${escapeToken(queue)}.${escapeToken(partition)}`,
    inboxConsumerPrefix: (partition) => limited('partition', `${escapeToken(partition)}=g`),
    leaseBucket,
    leaseSubjects: `$KV.${leaseBucket}.>`,
    leaseSubject: (key) => `$KV.${leaseBucket}.${escapeToken(key)}`,
    leaseClockSubject: `$KV.${leaseBucket}.=clock`,
    snapshotStream: `${upper}_SNAPSHOTS`,
    snapshotSubjects: `${prefix}.snapshot.>`,
    snapshotSubject: (key) => `${prefix}.snapshot.${escapeToken(key)}`,
    snapshotPartSubject: (key, generation, part) => `${prefix}.snapshot.${escapeToken(key)}.${generation}.${part}`,
    clusterHeartbeats: (cluster) => `${prefix}.cluster.${escapeToken(cluster)}.heartbeat`,
    clusterNode: (cluster, node, incarnation) =>
      `${prefix}.cluster.${escapeToken(cluster)}.node.${escapeToken(node)}.${incarnation}`,
  }
}

function limited(what: string, name: string): string {
  if (name.length <= maxNameBytes) return name
  throw new AppError(
    'invalid',
    `the name of this ${what} needs ${name.length} bytes on the server, which takes ${maxNameBytes}`,
  )
}
