import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { demonstrate } from './demo/demonstration.ts'
import { startNatsServer } from './demo/nats-server.ts'
import { failureOf } from './failures.ts'

/** `npm start`: the orders app, killed in the middle of each stage, before the eyes of whoever watches. */
async function run(): Promise<number> {
  const program = new Command('npm start --')
    .option(
      '--nats [url]',
      'on JetStream instead of the embedded journal; without a URL, on a nats-server started for it',
    )
    .option('--time-scale <factor>', 'how many times as fast as the clock the time of workflows runs', Number, 28_800)
    .option('--random-kills <count>', 'kills at random moments after the stages', Number, 3)
    .option('--seed <text>', 'of the random moments', String(process.pid))
    .parse()
  const { nats, timeScale, randomKills, seed } = program.opts<{
    nats?: string | true
    timeScale: number
    randomKills: number
    seed: string
  }>()
  const server = nats === true ? await startNatsServer() : undefined
  try {
    const right = await demonstrate({
      appFolder: fileURLToPath(new URL('../../../examples/orders', import.meta.url)),
      nats: server?.url ?? (nats === true ? undefined : nats),
      timeScale,
      randomKills,
      seed,
    })
    return right ? 0 : 1
  } finally {
    await server?.stop()
  }
}

process.exitCode = await run().catch((error: unknown) => {
  process.stderr.write(`daruma: ${failureOf(error).message}\n`)
  return 1
})
