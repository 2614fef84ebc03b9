/**
 * Resolves when no microtask is left to run: every chain of promises that can go on without IO or timers has gone on.
 * A fixed rule, never a time: Node runs its tick queue only when the microtask queue is empty.
 */
export function microtasksDry(): Promise<void> {
  return new Promise((resolve) => {
    queueMicrotask(() => process.nextTick(resolve))
  })
}
