import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodeId, Peer } from '@daruma/protocol'
import {
  decideMembership,
  newMembership,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
} from '@daruma/nats/internal'

const timing = { heartbeatMs: 500, suspectMs: 2_000, downMs: 5_000 }
const peer = (node: string, incarnation = 1): Peer => ({ node: node as NodeId, incarnation })
const [ann, bob] = [peer('ann'), peer('bob')]

/** One node's membership and all that it decided. */
class Node {
  state: Membership
  readonly effects: MembershipEffect[] = []

  readonly self: Peer

  constructor(self: Peer) {
    this.self = self
    this.state = newMembership(self, timing, 0)
  }

  on(event: MembershipEvent): readonly MembershipEffect[] {
    const [state, effects] = decideMembership(this.state, event)
    this.state = state
    this.effects.push(...effects)
    return effects
  }

  get story(): string[] {
    return this.effects.flatMap((effect) => {
      if (effect.kind === 'up') return [`up ${effect.peer.node}`]
      if (effect.kind === 'down') return [`down ${effect.peer.node} ${effect.why}`]
      if (effect.kind === 'suspect') return [`${effect.isSuspected ? 'suspect' : 'trust'} ${effect.peer.node}`]
      return []
    })
  }
}

/** Two or more nodes and a wire in order; what is cut off is lost. */
class Cluster {
  nowMs = 0
  readonly nodes: Node[]
  readonly cut = new Set<Node>()
  /** Those whose process does not run. */
  readonly stopped = new Set<Node>()

  constructor(...selves: Peer[]) {
    this.nodes = selves.map((self) => new Node(self))
  }

  advance(byMs: number): void {
    for (const untilMs = this.nowMs + byMs; this.nowMs < untilMs;) {
      this.nowMs += timing.heartbeatMs
      for (const node of this.nodes) if (!this.stopped.has(node)) this.tell(node, { kind: 'tick', nowMs: this.nowMs })
    }
  }

  tell(node: Node, event: MembershipEvent): void {
    for (const effect of node.on(event)) {
      for (const other of this.nodes) {
        if (other === node || this.cut.has(node) || this.cut.has(other) || this.stopped.has(other)) continue
        const from = node.self
        const { nowMs } = this
        if (effect.kind === 'send_heartbeat') this.tell(other, { kind: 'heard', from, nowMs })
        if (effect.kind === 'send_hello' && effect.to === other.self) {
          this.tell(other, { kind: 'hello', from, theirs: effect.mine, mine: effect.theirs, nowMs })
        }
        if (effect.kind === 'send_goodbye' && effect.to === other.self) this.tell(other, { kind: 'goodbye', from })
      }
    }
  }

  isConnected(a: Node, b: Node): boolean {
    const [x, y] = [a.state.members.get(b.self.node), b.state.members.get(a.self.node)]
    return x?.status === 'up' && y?.status === 'up' && x.mine === y.theirs && y.mine === x.theirs
  }
}

describe('membership', () => {
  test('two nodes that hear each other are up for each other once, and agree on the numbers of their connection', () => {
    const cluster = new Cluster(ann, bob)
    cluster.advance(3_000)
    const [a, b] = cluster.nodes as [Node, Node]
    expect([a.story, b.story]).toEqual([['up bob'], ['up ann']])
    expect(cluster.isConnected(a, b)).toBe(true)
  })

  test('silence makes a peer suspected, then down; each is told once', () => {
    const cluster = new Cluster(ann, bob)
    const [a, b] = cluster.nodes as [Node, Node]
    cluster.advance(1_000)
    cluster.stopped.add(b)
    cluster.advance(30_000)
    expect(a.story).toEqual(['up bob', 'suspect bob', 'down bob silent'])
  })

  test('a silence that is shorter than the suspicion time tells nothing, one shorter than the down time only suspicion', () => {
    const cluster = new Cluster(ann, bob)
    const [a, b] = cluster.nodes as [Node, Node]
    cluster.advance(1_000)
    cluster.cut.add(b)
    cluster.advance(1_000)
    cluster.cut.clear()
    cluster.advance(1_000)
    expect(a.story).toEqual(['up bob'])
    cluster.cut.add(b)
    cluster.advance(3_500)
    cluster.cut.clear()
    cluster.advance(1_000)
    expect(a.story).toEqual(['up bob', 'suspect bob', 'trust bob'])
    expect(b.story).toEqual(['up ann', 'suspect ann', 'trust ann'])
  })

  test('a node that was stopped and goes on is told that it was declared down, and both meet anew', () => {
    const cluster = new Cluster(ann, bob)
    const [a, b] = cluster.nodes as [Node, Node]
    cluster.advance(1_000)
    cluster.stopped.add(b)
    cluster.advance(20_000)
    cluster.stopped.clear()
    cluster.advance(2_000)
    expect(a.story).toEqual(['up bob', 'suspect bob', 'down bob silent', 'up bob'])
    expect(b.story).toEqual(['up ann', 'down ann told', 'up ann'])
    expect(cluster.isConnected(a, b)).toBe(true)
  })

  test('a pause of this node itself is not taken for silence of the others', () => {
    const node = new Node(ann)
    node.on({ kind: 'hello', from: bob, theirs: 7, mine: 0, nowMs: 0 })
    node.on({ kind: 'hello', from: bob, theirs: 7, mine: 1, nowMs: 0 })
    node.on({ kind: 'tick', nowMs: 60_000 })
    expect(node.story).toEqual(['up bob'])
  })

  test('a goodbye is a leave, and a later life of a node ends the earlier one', () => {
    const cluster = new Cluster(ann, bob)
    const [a, b] = cluster.nodes as [Node, Node]
    cluster.advance(1_000)
    cluster.tell(b, { kind: 'leave' })
    expect([a.story, b.story]).toEqual([
      ['up bob', 'down bob left'],
      ['up ann', 'down ann closed'],
    ])
    const later = new Cluster(ann, bob, peer('bob', 2))
    later.stopped.add(later.nodes[2]!)
    later.advance(1_000)
    later.stopped.delete(later.nodes[2]!)
    later.stopped.add(later.nodes[1]!)
    later.advance(1_000)
    expect(later.nodes[0]!.story).toEqual(['up bob', 'down bob restarted', 'up bob'])
  })

  test('an earlier life that still speaks is ignored; itself it learns that it is superseded', () => {
    const cluster = new Cluster(ann, peer('bob', 2), peer('bob', 1))
    cluster.advance(2_000)
    expect(cluster.nodes[0]!.story).toEqual(['up bob'])
    expect(cluster.nodes[0]!.state.members.get(bob.node)?.peer.incarnation).toBe(2)
    expect(cluster.nodes[2]!.effects).toContainEqual({ kind: 'superseded', by: peer('bob', 2) })
  })

  test('a peer that takes nothing is declared down, and told so', () => {
    const cluster = new Cluster(ann, bob)
    const [a, b] = cluster.nodes as [Node, Node]
    cluster.advance(1_000)
    cluster.tell(a, { kind: 'overrun', peer: bob })
    cluster.advance(1_000)
    expect(a.story).toEqual(['up bob', 'down bob overrun', 'up bob'])
    expect(b.story).toEqual(['up ann', 'down ann told', 'up ann'])
  })

  test('whatever is cut, stopped and lost: up and down come in turn, and all agree once the trouble is over', () => {
    const step = fc.record({
      what: fc.constantFrom('cut', 'stop', 'none', 'overrun'),
      who: fc.nat(2),
      forMs: fc.integer({ min: 1, max: 24 }).map((beats) => beats * timing.heartbeatMs),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const cluster = new Cluster(ann, bob, peer('cid'))
        for (const { what, who, forMs } of steps) {
          const node = cluster.nodes[who]!
          if (what === 'cut') cluster.cut.add(node)
          if (what === 'stop') cluster.stopped.add(node)
          if (what === 'overrun') cluster.tell(node, { kind: 'overrun', peer: cluster.nodes[(who + 1) % 3]!.self })
          cluster.advance(forMs)
          cluster.cut.clear()
          cluster.stopped.clear()
        }
        cluster.advance(4 * timing.heartbeatMs)
        for (const [at, node] of cluster.nodes.entries()) {
          for (const other of cluster.nodes) {
            if (other === node) continue
            const turns = node.story.filter((told) => new RegExp(`^(up|down) ${other.self.node}`).test(told))
            expect(turns.every((told, index) => told.startsWith(index % 2 === 0 ? 'up' : 'down'))).toBe(true)
          }
          expect(cluster.isConnected(node, cluster.nodes[(at + 1) % 3]!)).toBe(true)
        }
      }),
      { numRuns: 300, verbose: 1 },
    )
  })
})
