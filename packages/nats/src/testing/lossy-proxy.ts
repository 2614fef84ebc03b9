import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { systemClock } from '@daruma/protocol'

/** A TCP proxy on loopback in front of a server, which can be told to lose what it carries. */
export interface LossyProxy {
  readonly url: string
  /** Bytes from the server vanish from now on; those towards it still arrive: acknowledgements are lost. */
  dropAnswers(): void
  /** Bytes towards the server vanish from now on. */
  dropRequests(): void
  /** From now on bytes of both directions arrive this much later, in their order. 0: at once. */
  delay(delayMs: number): void
  /** Breaks every connection. New ones are carried faithfully. */
  breakConnections(): void
  /** Refuses new connections, and breaks those that stand. */
  close(): Promise<void>
}

export async function startLossyProxy(targetPort: number): Promise<LossyProxy> {
  const sockets = new Set<Socket>()
  let answers = true
  let requests = true
  let delayMs = 0
  const clock = systemClock()
  /** One direction of one connection. */
  const carry = (to: Socket): ((bytes: Buffer) => void) => {
    let waiting = 0
    let tail = Promise.resolve()
    return (bytes) => {
      if (delayMs === 0 && waiting === 0) return void to.write(bytes)
      waiting++
      const due = new Promise<void>((resolve) => clock.after(delayMs, resolve))
      tail = tail
        .then(() => due)
        .then(() => {
          waiting--
          to.write(bytes)
        })
    }
  }
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    const there = carry(far)
    const back = carry(near)
    near.on('data', (bytes: Buffer) => requests && there(bytes))
    far.on('data', (bytes: Buffer) => answers && back(bytes))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const breakConnections = (): void => {
    answers = true
    requests = true
    delayMs = 0
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dropAnswers: () => void (answers = false),
    dropRequests: () => void (requests = false),
    delay: (ms) => void (delayMs = ms),
    breakConnections,
    async close() {
      const closed = once(server, 'close')
      server.close()
      breakConnections()
      await closed
    },
  }
}
