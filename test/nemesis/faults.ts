import type { Rng } from '@daruma/protocol'
import type { LossyProxy, NatsServer } from '@daruma/nats/testing'
import { pause } from './driver.ts'
import type { NodeProcess } from './node-process.ts'

/** A node with what stands between it and the server. */
export interface Victim {
  readonly node: NodeProcess
  /** A second process under the same name, which the lease takes for the same holder. */
  readonly twin: NodeProcess | undefined
  readonly proxy: LossyProxy | undefined
}

export interface World {
  readonly victims: readonly Victim[]
  readonly server: NatsServer | undefined
  readonly leaseMs: number
  readonly rng: Rng
  /** One line for whoever watches. */
  readonly tell: (line: string) => void
}

export type FaultKind =
  | 'kill node'
  | 'pause node'
  | 'twin'
  | 'lose answers'
  | 'lose requests'
  | 'break connections'
  | 'delay'
  | 'kill server'
  | 'pause server'
  | 'second holder'

/** How often each is chosen, where it can be. */
const weights: readonly (readonly [FaultKind, number])[] = [
  ['kill node', 6],
  ['pause node', 4],
  ['twin', 3],
  ['lose answers', 4],
  ['lose requests', 3],
  ['break connections', 3],
  ['delay', 3],
  ['kill server', 3],
  ['pause server', 1],
  ['second holder', 2],
]

/** Faults, one after another or several at once, as the dice want it. Each heals what it broke. */
export class Nemesis {
  readonly counts = new Map<FaultKind, number>()
  readonly #world: World
  readonly #underWay = new Set<Promise<void>>()
  readonly #struck = new Set<object>()
  #stopped = false

  constructor(world: World) {
    this.#world = world
  }

  /** Strikes until `stop`. */
  async rage(): Promise<void> {
    const { rng } = this.#world
    while (!this.#stopped) {
      await pause(300 + rng.next() * 2_500)
      if (this.#stopped) break
      const done = this.#strike(this.#choose())
      this.#underWay.add(done)
      void done.finally(() => this.#underWay.delete(done))
    }
    await Promise.all(this.#underWay)
  }

  /** No new fault; resolves by way of `rage`, when those under way have healed. */
  stop(): void {
    this.#stopped = true
  }

  #choose(): FaultKind {
    const { server, rng } = this.#world
    const possible = weights.filter(([kind]) =>
      server === undefined ? ['kill node', 'pause node', 'second holder'].includes(kind) : kind !== 'second holder',
    )
    let at = rng.next() * possible.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [kind, weight] of possible) if ((at -= weight) < 0) return kind
    return possible[0]![0]
  }

  async #strike(kind: FaultKind): Promise<void> {
    const { victims, rng, server } = this.#world
    const victim = victims[Math.floor(rng.next() * victims.length)]!
    const target: object = kind === 'kill server' || kind === 'pause server' ? server! : victim
    // One fault at a time for each: what one breaks another must not heal.
    if (this.#struck.has(target)) return
    this.#struck.add(target)
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    try {
      await this.#perform(kind, victim)
    } finally {
      this.#struck.delete(target)
    }
  }

  async #perform(kind: FaultKind, { node, twin, proxy }: Victim): Promise<void> {
    const { rng, server, leaseMs, tell } = this.#world
    const between = (least: number, most: number): number => Math.round(least + rng.next() * (most - least))
    switch (kind) {
      case 'kill node': {
        const downMs = rng.next() < 0.5 ? 0 : between(0, leaseMs * 2)
        tell(`kill -9 ${node.name}, back after ${downMs} ms`)
        await node.kill()
        await pause(downMs)
        return revive(node)
      }
      case 'pause node': {
        const pauseMs = between(leaseMs * 0.8, leaseMs * 3)
        tell(`pause ${node.name} for ${pauseMs} ms (lease ${leaseMs} ms)`)
        node.pause()
        await pause(pauseMs)
        return node.resume()
      }
      case 'twin': {
        const lifeMs = between(leaseMs, leaseMs * 4)
        tell(`a second ${node.name} for ${lifeMs} ms`)
        await twin!.start()
        await pause(lifeMs)
        return twin!.kill()
      }
      case 'lose answers':
      case 'lose requests': {
        const lossMs = between(100, 3_000)
        tell(`${node.name}: ${kind === 'lose answers' ? 'acknowledgements' : 'requests'} lost for ${lossMs} ms`)
        if (kind === 'lose answers') proxy!.dropAnswers()
        else proxy!.dropRequests()
        await pause(lossMs)
        return proxy!.breakConnections()
      }
      case 'break connections':
        tell(`${node.name}: connections broken`)
        return proxy!.breakConnections()
      case 'delay': {
        const delayMs = between(20, 1_500)
        const lastingMs = between(500, 4_000)
        tell(`${node.name}: everything ${delayMs} ms late for ${lastingMs} ms`)
        proxy!.delay(delayMs)
        await pause(lastingMs)
        return proxy!.delay(0)
      }
      case 'kill server': {
        const downMs = between(0, 2_500)
        tell(`kill -9 the server, back after ${downMs} ms`)
        await server!.kill()
        await pause(downMs)
        return server!.start()
      }
      case 'pause server': {
        const pauseMs = between(200, 2_500)
        tell(`pause the server for ${pauseMs} ms`)
        process.kill(server!.pid, 'SIGSTOP')
        await pause(pauseMs)
        process.kill(server!.pid, 'SIGCONT')
        return
      }
      case 'second holder': {
        const isIn = await twin!.start()
        tell(`a second process asks for the folder: ${isIn ? 'it got it' : 'refused'}`)
        if (!isIn) return
        // It was free for the moment (its holder was being killed), or the holder was taken for dead.
        await pause(between(100, 1_000))
        return twin!.kill()
      }
    }
  }
}

/** A node that cannot come up, because the server is down as well, is started again and again. */
export async function revive(node: NodeProcess): Promise<void> {
  while (!(await node.start())) await pause(200)
}
