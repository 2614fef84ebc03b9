import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, unlinkSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { AppError, fromWire, toWire, type WireError } from '@daruma/protocol'

/**
 * How a second shell talks to a node: one JSON request per connection over a Unix socket that only this user may open.
 * The socket's place follows from the data folder, so that the folder of the app is all that one has to name.
 */
export type ControlMethods = Readonly<Record<string, (params: Record<string, unknown>) => unknown>>

/** A Unix socket's path may have some hundred bytes; a longer one moves to the temporary folder. */
const maxPathBytes = 100
const maxRequestBytes = 16 << 20

export function controlPath(dataFolder: string): string {
  const near = join(resolve(dataFolder), 'control.sock')
  if (Buffer.byteLength(near) <= maxPathBytes) return near
  return join(tmpdir(), `daruma-${createHash('sha256').update(near).digest('hex').slice(0, 24)}.sock`)
}

export interface ControlServer {
  close(): Promise<void>
}

/** Opens the socket. One that a dead node left is replaced; a living one is in the way of this node's data anyway. */
export async function serveControl(dataFolder: string, methods: ControlMethods): Promise<ControlServer> {
  const path = controlPath(dataFolder)
  mkdirSync(dirname(path), { recursive: true })
  if (existsSync(path)) unlinkSync(path)
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, methods).then((body) => {
      outgoing.setHeader('content-type', 'application/json')
      outgoing.end(JSON.stringify(body, plain))
    })
  })
  await listen(server, path)
  chmodSync(path, 0o600)
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', (error) =>
      failed(new AppError('unavailable', `cannot open the control socket ${path}: ${error.message}`)),
    )
    server.listen(path, done)
  })
}

type Reply = { readonly result: unknown } | { readonly error: WireError }

async function answer(incoming: IncomingMessage, methods: ControlMethods): Promise<Reply> {
  try {
    const { method, params } = JSON.parse(await bodyOf(incoming)) as { method: string; params: Record<string, unknown> }
    const perform = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (perform === undefined)
      throw new AppError('not_found', `this node does not know "${method}"; is it older than this command?`)
    return { result: (await perform(params)) ?? null }
  } catch (error) {
    return { error: toWire(error) }
  }
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxRequestBytes) throw new AppError('invalid', `request of more than ${maxRequestBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Asks the node that owns `dataFolder`.
 *
 * @throws AppError unavailable - no node runs there; what the node answered
 */
export async function askNode(
  dataFolder: string,
  method: string,
  params: Record<string, unknown> = {},
): Promise<unknown> {
  const path = controlPath(dataFolder)
  const reply = JSON.parse(await bodyOf(await post(path, JSON.stringify({ method, params }), dataFolder))) as Reply
  if ('error' in reply) throw fromWire(reply.error)
  return reply.result
}

function post(path: string, body: string, dataFolder: string): Promise<IncomingMessage> {
  return new Promise((answered, failed) => {
    const outgoing = httpRequest({ socketPath: path, method: 'POST', path: '/' }, answered)
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      const isGone = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
      const message = isGone
        ? `no node runs with the data folder ${resolve(dataFolder)}; start it with: daruma run <dir>`
        : `the node of ${resolve(dataFolder)} does not answer: ${error.message}`
      failed(new AppError('unavailable', message))
    })
    outgoing.end(body)
  })
}

/** What JSON has no form for, as text. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return value
}
