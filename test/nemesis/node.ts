import { createNode } from '@daruma/daruma'
import { toWire, uuidFrom, systemRng, type Logger } from '@daruma/protocol'
import { openLedger } from './ledger.ts'
import type { Answer, NodeConfig, Request } from './wire.ts'
import { workload } from './workload.ts'

/** One node as a process of its own, which the driver asks by messages and kills as it likes. */
const config = JSON.parse(process.argv[2]!) as NodeConfig
const life = `${config.name}.${process.pid}.${uuidFrom(systemRng()).slice(0, 8)}`
const ledger = openLedger(config.ledgerFile)
const logger: Logger = {
  log(level, message, fields) {
    if (level === 'error') process.stderr.write(`${life} ${message} ${JSON.stringify(fields ?? {})}\n`)
  },
}

const { workflows, functions } = workload(({ idempotencyKey, attempt }) =>
  ledger.append({ kind: 'run', life, key: idempotencyKey, attempt, atMs: Date.now() }),
)

const node = await createNode({
  name: config.name,
  ...(config.store.kind === 'lmdb' ? { data: config.store.folder } : {}),
  ...(config.store.kind === 'nats' ? { nats: { servers: config.store.url, requestTimeoutMs: 2_000 } } : {}),
  ...(config.cluster === undefined ? {} : { cluster: config.cluster }),
  workflows,
  functions,
  partitions: config.partitions,
  leaseMs: config.leaseMs,
  ...(config.checkpoint === undefined ? {} : { checkpoint: config.checkpoint }),
  ...(config.retention === undefined ? {} : { retention: config.retention }),
  ...(config.maxResident === undefined ? {} : { maxResident: config.maxResident }),
  logger,
  observe(notice) {
    if (notice.kind === 'claimed') {
      ledger.append({ kind: 'claim', life, partition: notice.partition, epoch: notice.epoch })
    } else if (notice.kind === 'stuck') {
      ledger.append({ kind: 'stuck', life, workflow: notice.workflow, reason: notice.reason })
    }
  },
})
const { engine } = node

async function perform(request: Request): Promise<unknown> {
  switch (request.op) {
    case 'start':
      await engine.start(request.type, [request.input], { id: request.workflow, requestId: request.requestId })
      return null
    case 'send':
      return engine.send(request.workflow, request.topic, [request.payload], { messageId: request.messageId })
    case 'cancel':
      return engine.cancel(request.workflow, 'the driver')
    case 'terminate':
      return engine.terminate(request.workflow, 'the driver')
    case 'describe':
      return [...engine.list()].map(({ workflowId, status, result, error, waitingFor, stuck }) => ({
        workflow: workflowId,
        status,
        ...(result === undefined ? {} : { result }),
        ...(error === undefined ? {} : { error: error.message }),
        waitingFor: stuck === undefined ? waitingFor : [stuck],
      }))
    case 'open':
      return [...engine.list()].filter(({ status }) => status === 'running' || status === 'stuck').length
    case 'close':
      await node.close()
      return null
  }
}

process.on('message', (request: Request) => {
  void perform(request)
    .then(
      (value): Answer => ({ number: request.number, value: value ?? null }),
      (error: unknown): Answer => ({ number: request.number, error: toWire(error) }),
    )
    .then((answer) => {
      process.send?.(answer, () => {
        if (request.op === 'close') process.exit(0)
      })
    })
})
// Whoever lost its driver is of no use to anybody.
process.on('disconnect', () => process.exit(1))
process.send?.({ number: 0, value: life } satisfies Answer)
