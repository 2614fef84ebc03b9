import type { Process } from './process.ts'

/** The peers of one process. One peer, the common case, needs no set. */
export type Links = Process | Set<Process> | undefined

/** Rule 15: at most one link per pair, two-way. */
export function link(a: Process, b: Process): void {
  if (a === b) return
  a.links = withPeer(a.links, b)
  b.links = withPeer(b.links, a)
}

export function unlink(a: Process, b: Process): void {
  a.links = withoutPeer(a.links, b)
  b.links = withoutPeer(b.links, a)
}

export function isLinked(a: Process, b: Process): boolean {
  return a.links === b || (a.links instanceof Set && a.links.has(b))
}

/** In the order in which they were linked. */
export function peersOf(links: Links): Iterable<Process> {
  if (links === undefined) return []
  return links instanceof Set ? links : [links]
}

function withPeer(links: Links, peer: Process): Links {
  if (links === undefined || links === peer) return peer
  if (links instanceof Set) return links.add(peer)
  return new Set([links, peer])
}

function withoutPeer(links: Links, peer: Process): Links {
  if (links === peer) return undefined
  if (links instanceof Set) links.delete(peer)
  return links
}
