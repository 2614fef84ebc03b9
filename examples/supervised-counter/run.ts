// A counter that crashes on a bad number and is back under its name before anybody could miss it.
import { behavior, createSystem, next, startSupervisor, type Request } from '@daruma/daruma'

type Add = { readonly kind: 'add'; readonly n: number }
type Total = Request<{ readonly kind: 'total' }, number>

const counter = behavior<Add | Total, number>({
  name: 'counter',
  init: () => 0,
  receive(ctx, message, total) {
    if (message.kind === 'total') {
      ctx.reply(message, total)
      return next.same
    }
    if (!Number.isFinite(message.n)) throw new RangeError(`cannot add ${message.n}`)
    return next.state(total + message.n)
  },
})

await using system = createSystem({ logger: { log: (level, text) => console.log(`[${level}] ${text}`) } })
await startSupervisor(system, {
  strategy: 'one_for_one',
  intensity: 3,
  periodMs: 5_000,
  children: [{ id: 'counter', start: counter, name: 'counter', restart: 'permanent' }],
})

const total = (): Promise<unknown> => system.call('counter', { kind: 'total' })
system.send('counter', { kind: 'add', n: 40 })
system.send('counter', { kind: 'add', n: 2 })
console.log('total', await total())
const firstLife = system.whereis('counter')!
system.send('counter', { kind: 'add', n: NaN }) // knocked down ...
await system.exited(firstLife)
while (system.whereis('counter') === undefined) await new Promise(setImmediate)
console.log('total', await total()) // ... and up again, with a fresh state
