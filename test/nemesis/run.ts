import { parseArgs } from 'node:util'
import { systemRng, uuidFrom } from '@daruma/protocol'
import { torture, type TortureResult } from './torture.ts'

const usage = `node test/dist/nemesis/run.js [--seconds 120] [--seed X] [--store nats|lmdb] [--nodes 3]
  [--rate 15] [--round-seconds 300] [--cluster] [--checkpoint] [--evict] [--quiet]`

/** Tortures for as long as it is told, in rounds with a fresh store each, and stops at the first that is not right. */
async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '120' },
      seed: { type: 'string', default: uuidFrom(systemRng()).slice(0, 8) },
      store: { type: 'string', default: 'nats' },
      nodes: { type: 'string', default: '3' },
      rate: { type: 'string', default: '15' },
      'round-seconds': { type: 'string', default: '300' },
      cluster: { type: 'boolean', default: false },
      checkpoint: { type: 'boolean', default: false },
      evict: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || (values.store !== 'nats' && values.store !== 'lmdb')) {
    console.log(usage)
    return values.help ? 0 : 2
  }
  const { seed, store, cluster, checkpoint, evict, quiet } = values
  const seconds = Number(values.seconds)
  const roundSeconds = Number(values['round-seconds'])
  const rounds = Math.max(Math.ceil(seconds / roundSeconds), 1)
  console.log(`nemesis: seed ${seed}, ${seconds} s on ${store}${rounds > 1 ? `, in ${rounds} rounds` : ''}`)
  for (let round = 0; round < rounds; round++) {
    const startMs = Date.now()
    const tell = (line: string): void => {
      if (!quiet) console.log(`${((Date.now() - startMs) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
    }
    const result = await torture({
      seed: round === 0 ? seed : `${seed}/${round}`,
      seconds: Math.min(seconds - round * roundSeconds, roundSeconds),
      store,
      nodes: Number(values.nodes),
      cluster,
      checkpoint,
      evict,
      rate: Number(values.rate),
      tell,
    })
    print(result)
    if (result.violations.length > 0) {
      console.log(`nemesis: seed ${seed}, round ${round}: kept in ${result.folder ?? 'nowhere'}`)
      return 1
    }
  }
  console.log('nemesis: nothing found')
  return 0
}

function print({ account, faults, violations, acknowledged, resent, openAfterHealing }: TortureResult): void {
  const injected = [...faults].map(([kind, count]) => `${kind} ${count}`).join(', ')
  console.log(`  faults: ${injected || 'none'}`)
  console.log(`  clients: ${acknowledged} acknowledged, ${resent} asked again; open after healing: ${openAfterHealing}`)
  console.log(
    `  history: ${Object.entries(account)
      .map(([what, count]) => `${String(count)} ${what}`)
      .join(', ')}`,
  )
  for (const { guarantee, text } of violations.slice(0, 40)) console.log(`  VIOLATION ${guarantee}: ${text}`)
  if (violations.length > 40) console.log(`  and ${violations.length - 40} more`)
}

process.exitCode = await run()
