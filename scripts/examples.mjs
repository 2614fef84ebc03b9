// Runs every TypeScript example of examples/ to its end; one that fails fails this.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, runForeground, setup } from './setup.mjs'

await main('examples', async () => {
  await setup()
  const dist = join(root, 'examples', 'dist')
  const programs = readdirSync(dist).filter((name) => existsSync(join(dist, name, 'run.js')))
  if (programs.length === 0) throw new Error('no examples were built')
  for (const name of programs.sort()) {
    console.log(`\n--- examples/${name}`)
    const code = await runForeground(process.execPath, [join(dist, name, 'run.js')], { NO_COLOR: '1' })
    if (code !== 0) return code
  }
  return 0
})
