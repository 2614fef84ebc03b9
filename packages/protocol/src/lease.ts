/**
 * Who should try to own something. A lease never protects by itself: its holder may be paused beyond its end.
 * What protects is the fence that each owner carries into the log.
 *
 * - E1 At most one holder per key whose lease has not run out, by the clock of the store.
 * - E2 `fence` grows with every change of holder of a key.
 * - E3 The same holder that acquires again gets its lease back at once, with a new fence: a restarted node does not wait.
 */
export interface Leases {
  acquire(key: string, holder: string, ttlMs: number): Promise<LeaseAnswer>
  /** False: the lease is lost. */
  renew(lease: HeldLease): Promise<boolean>
  /** Free for others at once. Releasing a lost lease does nothing. */
  release(lease: HeldLease): Promise<void>
  /** Calls `onChange` after each change of holder that this process can see; undefined: nobody. */
  watch(key: string, onChange: (holder: string | undefined) => void): Promise<() => void>
  close(): Promise<void>
}

export interface HeldLease {
  readonly key: string
  readonly holder: string
  readonly fence: number
  readonly ttlMs: number
}

export type LeaseAnswer =
  | { readonly kind: 'held'; readonly lease: HeldLease }
  | { readonly kind: 'taken'; readonly holder: string; readonly leftMs: number }
