import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy on loopback in front of a server, which can be told to lose what it carries. */
export interface LossyProxy {
  readonly url: string
  /** Bytes from the server vanish from now on; those towards it still arrive: acknowledgements are lost. */
  dropAnswers(): void
  /** Bytes towards the server vanish from now on. */
  dropRequests(): void
  /** Breaks every connection. New ones are carried faithfully. */
  breakConnections(): void
  /** Refuses new connections, and breaks those that stand. */
  close(): Promise<void>
}

export async function startLossyProxy(targetPort: number): Promise<LossyProxy> {
  const sockets = new Set<Socket>()
  let answers = true
  let requests = true
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
    near.on('data', (bytes) => requests && far.write(bytes))
    far.on('data', (bytes) => answers && near.write(bytes))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const breakConnections = (): void => {
    answers = true
    requests = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dropAnswers: () => void (answers = false),
    dropRequests: () => void (requests = false),
    breakConnections,
    async close() {
      const closed = once(server, 'close')
      server.close()
      breakConnections()
      await closed
    },
  }
}
