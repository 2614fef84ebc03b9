import { samePeer, unreachable, type DownReason, type NodeId, type Peer } from '@daruma/protocol'

/** All in milliseconds of the monotonic clock. */
export interface MembershipTiming {
  readonly heartbeatMs: number
  /** Silence after which a peer is suspected. */
  readonly suspectMs: number
  /** Silence after which it is down. */
  readonly downMs: number
}

/**
 * What this node knows of one other. A connection is a pair of session numbers, one given by each side; a side that
 * declares the other down gives a new number, so that both ends of a connection end even if only one side noticed.
 */
export interface Member {
  readonly peer: Peer
  readonly status: 'meeting' | 'up' | 'down'
  /** This node's number for the connection. */
  readonly mine: number
  /** The peer's; 0: not heard yet. */
  readonly theirs: number
  readonly heardAtMs: number
  readonly isSuspected: boolean
}

export interface Membership {
  readonly self: Peer
  readonly timing: MembershipTiming
  readonly members: ReadonlyMap<NodeId, Member>
  /** The last session number given. Never given twice in one life. */
  readonly lastSession: number
  readonly tickedAtMs: number
}

export type MembershipEvent =
  | { readonly kind: 'tick'; readonly nowMs: number }
  /** A heartbeat. */
  | { readonly kind: 'heard'; readonly from: Peer; readonly nowMs: number }
  /** `theirs`: the sender's number; `mine`: this node's as the sender knows it, 0 for not at all. */
  | {
      readonly kind: 'hello'
      readonly from: Peer
      readonly theirs: number
      readonly mine: number
      readonly nowMs: number
    }
  | { readonly kind: 'goodbye'; readonly from: Peer }
  /** What waits for it passed every bound. */
  | { readonly kind: 'overrun'; readonly peer: Peer }
  | { readonly kind: 'leave' }

export type MembershipEffect =
  | { readonly kind: 'up'; readonly peer: Peer; readonly mine: number; readonly theirs: number }
  | { readonly kind: 'down'; readonly peer: Peer; readonly why: DownReason }
  | { readonly kind: 'suspect'; readonly peer: Peer; readonly isSuspected: boolean }
  | { readonly kind: 'send_heartbeat' }
  | { readonly kind: 'send_hello'; readonly to: Peer; readonly mine: number; readonly theirs: number }
  | { readonly kind: 'send_goodbye'; readonly to: Peer }
  /** A later life of this very node is there: this one must end. */
  | { readonly kind: 'superseded'; readonly by: Peer }

export type Decision = readonly [Membership, readonly MembershipEffect[]]

/** A node that is gone is remembered this many down times: its late words must not look like a stranger's. */
const forgetAfterDownTimes = 10

export function newMembership(self: Peer, timing: MembershipTiming, nowMs: number): Membership {
  return { self, timing, members: new Map(), lastSession: 0, tickedAtMs: nowMs }
}

/**
 * Who is up.
 *
 * - M1 Up and down of a peer come in turn.
 * - M2 A peer is up only when it is known that it knows this node's session number; so frames of older connections can be told.
 * - M3 A side that hears a new number for a connection that is up was declared down: it says `down told`, and meets again.
 * - M4 Silence is measured by this node's monotonic clock, and a pause of this node itself does not count as silence of others.
 */
export function decideMembership(state: Membership, event: MembershipEvent): Decision {
  switch (event.kind) {
    case 'tick':
      return tick(state, event.nowMs)
    case 'heard':
      return meet(state, event.from, event.nowMs, true)
    case 'hello':
      return hello(state, event)
    case 'goodbye':
      return goodbye(state, event.from)
    case 'overrun': {
      const member = state.members.get(event.peer.node)
      if (member?.status !== 'up' || !samePeer(member.peer, event.peer)) return [state, []]
      return declareDown(state, member, 'overrun')
    }
    case 'leave': {
      const up = [...state.members.values()].filter(({ status }) => status === 'up')
      return [
        { ...state, members: new Map() },
        [
          ...up.map(({ peer }): MembershipEffect => ({ kind: 'send_goodbye', to: peer })),
          ...up.map(({ peer }): MembershipEffect => ({ kind: 'down', peer, why: 'closed' })),
        ],
      ]
    }
    default:
      return unreachable(event)
  }
}

/** True when a frame with these numbers belongs to the connection that is up. */
export function isCurrent(member: Member | undefined, from: Peer, theirs: number, mine: number): boolean {
  return (
    member !== undefined &&
    member.status === 'up' &&
    member.theirs === theirs &&
    member.mine === mine &&
    samePeer(member.peer, from)
  )
}

function tick(state: Membership, nowMs: number): Decision {
  const { timing } = state
  const effects: MembershipEffect[] = [{ kind: 'send_heartbeat' }]
  const members = new Map<NodeId, Member>()
  const gapMs = nowMs - state.tickedAtMs
  const pausedMs = gapMs > 2 * timing.heartbeatMs ? gapMs - timing.heartbeatMs : 0 // M4
  let { lastSession } = state
  for (const [node, known] of state.members) {
    const member = pausedMs === 0 ? known : { ...known, heardAtMs: Math.min(known.heardAtMs + pausedMs, nowMs) }
    const silentMs = nowMs - member.heardAtMs
    if (member.status === 'up' && silentMs >= timing.downMs) {
      members.set(node, { ...member, status: 'down', mine: ++lastSession, isSuspected: false })
      effects.push({ kind: 'down', peer: member.peer, why: 'silent' })
    } else if (member.status === 'up' && silentMs >= timing.suspectMs && !member.isSuspected) {
      members.set(node, { ...member, isSuspected: true })
      effects.push({ kind: 'suspect', peer: member.peer, isSuspected: true })
    } else if (member.status === 'up' || silentMs < timing.downMs * forgetAfterDownTimes) {
      members.set(node, member)
    }
  }
  return [{ ...state, members, lastSession, tickedAtMs: nowMs }, effects]
}

/** Any sign of life. `greet`: answer one that is not up with a hello. */
function meet(state: Membership, from: Peer, nowMs: number, greet: boolean): Decision {
  if (from.node === state.self.node) {
    // The later life wins; the earlier one hears of it by the same means.
    return [state, from.incarnation > state.self.incarnation ? [{ kind: 'superseded', by: from }] : []]
  }
  const known = state.members.get(from.node)
  if (known !== undefined && !samePeer(known.peer, from)) {
    // An earlier life that still speaks is ignored, unless the later one is gone: a wall clock may have been set back.
    if (from.incarnation < known.peer.incarnation && known.status !== 'down') return [state, []]
    const before: MembershipEffect[] =
      known.status === 'up' ? [{ kind: 'down', peer: known.peer, why: 'restarted' }] : []
    const [next, effects] = add(state, from, nowMs, greet)
    return [next, [...before, ...effects]]
  }
  if (known === undefined) return add(state, from, nowMs, greet)
  const effects: MembershipEffect[] = []
  if (known.isSuspected) effects.push({ kind: 'suspect', peer: from, isSuspected: false })
  if (known.status !== 'up' && greet) {
    effects.push({ kind: 'send_hello', to: from, mine: known.mine, theirs: known.theirs })
  }
  return [withMember(state, { ...known, heardAtMs: nowMs, isSuspected: false }), effects]
}

function add(state: Membership, peer: Peer, nowMs: number, greet: boolean): Decision {
  const mine = state.lastSession + 1
  const member: Member = { peer, status: 'meeting', mine, theirs: 0, heardAtMs: nowMs, isSuspected: false }
  return [
    { ...withMember(state, member), lastSession: mine },
    greet ? [{ kind: 'send_hello', to: peer, mine, theirs: 0 }] : [],
  ]
}

function hello(before: Membership, event: MembershipEvent & { kind: 'hello' }): Decision {
  const [state, effects] = meet(before, event.from, event.nowMs, false)
  const member = state.members.get(event.from.node)
  // Not met: it is this node, or an earlier life. A smaller number is of an earlier connection.
  if (member === undefined || !samePeer(member.peer, event.from) || event.theirs < member.theirs) {
    return [state, effects]
  }
  const told: MembershipEffect[] = []
  let status = member.status
  if (status === 'up' && event.theirs !== member.theirs) {
    told.push({ kind: 'down', peer: member.peer, why: 'told' }) // M3
    status = 'meeting'
  }
  const isConfirmed = event.mine === member.mine
  const isNews = status !== 'up' || !isConfirmed
  const next: Member = { ...member, theirs: event.theirs, status: isConfirmed ? 'up' : status }
  if (isConfirmed && status !== 'up') {
    told.push({ kind: 'up', peer: member.peer, mine: member.mine, theirs: event.theirs }) // M2
  }
  if (isNews) told.push({ kind: 'send_hello', to: member.peer, mine: member.mine, theirs: event.theirs })
  return [withMember(state, next), [...effects, ...told]]
}

function goodbye(state: Membership, from: Peer): Decision {
  const member = state.members.get(from.node)
  if (member === undefined || !samePeer(member.peer, from)) return [state, []]
  const members = new Map(state.members)
  members.delete(from.node)
  return [{ ...state, members }, member.status === 'up' ? [{ kind: 'down', peer: from, why: 'left' }] : []]
}

function declareDown(state: Membership, member: Member, why: DownReason): Decision {
  const mine = state.lastSession + 1
  return [
    { ...withMember(state, { ...member, status: 'down', mine, isSuspected: false }), lastSession: mine },
    [{ kind: 'down', peer: member.peer, why }],
  ]
}

function withMember(state: Membership, member: Member): Membership {
  return { ...state, members: new Map(state.members).set(member.peer.node, member) }
}
