import { connect } from 'nats'

/** Bare publish and subscribe over two connections to one server, for figures beside which ours are judged. */
export interface BarePair {
  /** Resolves when `count` payloads, published as fast as the client takes them, have arrived. */
  burst(count: number, payload: Uint8Array): Promise<void>
  /** So many round trips, one after the other. */
  pingPong(count: number, payload: Uint8Array): Promise<void>
  close(): Promise<void>
}

export async function openBarePair(servers: string): Promise<BarePair> {
  const [one, two] = await Promise.all([
    connect({ servers, noAsyncTraces: true }),
    connect({ servers, noAsyncTraces: true }),
  ])
  let onBurst = (): void => undefined
  let onPong = (): void => undefined
  two.subscribe('bare.burst', { callback: () => onBurst() })
  two.subscribe('bare.ping', { callback: (_error, { data }) => two.publish('bare.pong', data) })
  one.subscribe('bare.pong', { callback: () => onPong() })
  await Promise.all([one.flush(), two.flush()])
  return {
    async burst(count, payload) {
      let left = count
      const done = new Promise<void>((resolve) => {
        onBurst = () => {
          if (--left === 0) resolve()
        }
      })
      for (let at = 0; at < count; at++) {
        one.publish('bare.burst', payload)
        // The client has no bound of its own: what it cannot write yet must not fill the memory.
        if (at % 4_096 === 4_095) await new Promise((resolve) => setImmediate(resolve))
      }
      await done
    },
    async pingPong(count, payload) {
      let left = count
      await new Promise<void>((resolve) => {
        onPong = () => {
          if (--left === 0) resolve()
          else one.publish('bare.ping', payload)
        }
        one.publish('bare.ping', payload)
      })
    },
    async close() {
      await Promise.all([one.close(), two.close()])
    },
  }
}
