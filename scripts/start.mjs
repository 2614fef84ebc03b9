// `npm start [-- flags]`: sets up, builds and runs the demonstration; its exit code is ours.
import { join } from 'node:path'
import { main, root, runForeground, setup } from './setup.mjs'

await main('npm start', async () => {
  await setup()
  return runForeground(process.execPath, [join(root, 'apps', 'node', 'dist', 'demo.js'), ...process.argv.slice(2)])
})
