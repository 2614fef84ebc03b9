import { toWire, uuidFrom, type AppError, type CancelTimer, type HeldLease, type Leases } from '@daruma/protocol'
import { Partition } from './partition.ts'
import type { PartitionOptions } from './partition-options.ts'

export interface OwnershipOptions {
  readonly name: string
  readonly node: string
  readonly leases: Leases | undefined
  readonly leaseMs: number
  readonly partition: Omit<PartitionOptions, 'name' | 'onFenced' | 'node'>
}

/**
 * One partition of a node that wants it: owned now, or waited for. The lease says who should try; what protects is the
 * fence in the log, so a lease that is wrong costs time and nothing else (G4).
 */
export class Ownership {
  readonly name: string
  owned: Partition | undefined
  /** Who has it, where it is not this node. */
  holder: string | undefined
  readonly #options: OwnershipOptions
  #lease: HeldLease | undefined
  #timer: CancelTimer | undefined
  #unwatch: (() => void) | undefined
  #beginning: Promise<void> | undefined
  /** Given to another node: not wanted back before this instant. */
  #givenUntilMs = -Infinity
  readonly #waiters = new Set<() => void>()
  #ended = false

  constructor(options: OwnershipOptions) {
    this.#options = options
    this.name = options.name
  }

  /** Resolves when the partition is owned, or is found to be another's. @throws as Partition.open */
  begin(): Promise<void> {
    return (this.#beginning ??= this.#begin().finally(() => {
      this.#beginning = undefined
      this.#changed()
    }))
  }

  /** Resolves when it may have another owner, or after `withinMs`. */
  change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        stop()
        this.#waiters.delete(wake)
        resolve()
      }
      const stop = this.#options.partition.machineClock.after(withinMs, wake)
      this.#waiters.add(wake)
    })
  }

  async end(): Promise<void> {
    this.#ended = true
    this.#timer?.()
    this.#unwatch?.()
    await this.#letGo()
    this.#changed()
  }

  /** Hands it to whoever takes it next: what was taken is stored, and it is free at once. */
  async give(): Promise<void> {
    const { leaseMs, partition } = this.#options
    this.#timer?.()
    this.#givenUntilMs = partition.machineClock.monotonicMs() + leaseMs
    await this.#letGo()
    this.#again(leaseMs)
  }

  /** Lets go as a crash would: nothing is stored, nothing released. */
  abandon(error: AppError): void {
    this.#ended = true
    this.#timer?.()
    this.#unwatch?.()
    this.owned?.drop(error)
    this.owned = undefined
    this.#changed()
  }

  async #begin(): Promise<void> {
    const { leases, leaseMs, node, name } = this.#options
    if (this.#ended || this.owned !== undefined) return
    this.#timer?.()
    if (leases !== undefined) {
      this.#unwatch ??= await leases.watch(name, (holder) => this.#heard(holder))
      const answer = await leases.acquire(name, node, leaseMs)
      if (answer.kind === 'taken') {
        this.holder = answer.holder
        return this.#again(Math.min(Math.max(answer.leftMs, 50), leaseMs / 2))
      }
      this.#lease = answer.lease
    }
    this.holder = undefined
    const { partition } = this.#options
    let opened: Partition | undefined
    let isFenced = false
    opened = await Partition.open({
      ...partition,
      name,
      // Each life claims in its own name: a claim of the life before is not this one's.
      node: `${node}#${uuidFrom(partition.rng)}`,
      onFenced: (error) => {
        isFenced = true
        // One that was let go before learns it late: that says nothing of its successor here.
        if (this.owned === opened) this.#lost(error)
      },
    })
    if (this.#ended) return opened.close()
    if (isFenced) {
      // While it was being opened. It is closed by now, and must not be kept for owned.
      if (leases !== undefined) this.#again(leaseMs / 2)
      return
    }
    this.owned = opened
    if (leases !== undefined) this.#renewLater()
  }

  async #letGo(): Promise<void> {
    const was = this.owned
    this.owned = undefined
    await was?.close()
    const lease = this.#lease
    this.#lease = undefined
    if (lease !== undefined) await this.#options.leases?.release(lease)
  }

  /** The store tells of each change of holder; what it told may be old by now, so it only hastens what would come. */
  #heard(holder: string | undefined): void {
    if (this.#ended || this.owned !== undefined || holder === this.#options.node) return
    this.holder = holder
    this.#changed()
    const isGiven = this.#options.partition.machineClock.monotonicMs() < this.#givenUntilMs
    if (holder === undefined && !isGiven) this.#again(0)
  }

  #changed(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  #renewLater(): void {
    const { leaseMs, leases, partition } = this.#options
    this.#timer = partition.machineClock.after(leaseMs / 3, () => {
      const lease = this.#lease
      if (lease === undefined) return
      void leases!.renew(lease).then(
        (kept) => {
          if (this.#ended || this.#lease !== lease) return
          if (kept) this.#renewLater()
          else this.#lost(undefined)
        },
        () => {
          // Not answered: the fence protects, so going on is safe; the next renewal tells.
          if (!this.#ended && this.#lease === lease) this.#renewLater()
        },
      )
    })
  }

  #lost(error: AppError | undefined): void {
    if (this.#ended) return
    const { partition, name } = this.#options
    this.#timer?.()
    const was = this.owned
    this.owned = undefined
    this.#lease = undefined
    partition.logger.log(
      'warn',
      `partition ${name} is another node's now`,
      error === undefined ? {} : { error: error.message },
    )
    void (error === undefined ? was?.close() : undefined)
    this.#changed()
    // Without leases nobody would give way: the one who came later keeps it.
    if (this.#options.leases !== undefined) this.#again(this.#options.leaseMs / 2)
  }

  /** Waits, then tries to own it. Failing tries wait longer by themselves: the log is asked, not hammered. */
  #again(delayMs: number): void {
    if (this.#ended) return
    const { partition, name, leaseMs } = this.#options
    this.#timer?.()
    this.#timer = partition.machineClock.after(delayMs, () => {
      this.begin().catch((error: unknown) => {
        partition.logger.log('error', `partition ${name} cannot be owned: ${toWire(error).message}`)
        this.#again(leaseMs)
      })
    })
  }
}
