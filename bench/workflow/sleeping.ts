import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdb } from '@daruma/lmdb'
import { collectGarbage, scaled, type Measurement } from '../harness.ts'
import { openSleepers, startSleepers } from './sleepers.ts'

const count = scaled(100_000)

/** What a sleeping workflow costs the node that owns it: one that it started, and one that a fresh process took over. */
export async function run(): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-bench-'))
  const { log, inbox, snapshots, close } = await openLmdb(folder)
  const atStart = anonymousBytes()
  const engine = await openSleepers({ log, inbox, snapshots })
  await startSleepers(engine, count)
  const started = (anonymousBytes() - atStart) / count
  await engine.checkpoint()
  await engine.close()
  await close()
  const code = `const { takenOver } = await import(${JSON.stringify(import.meta.url)}); console.log(await takenOver(${JSON.stringify(folder)})); process.exit(0)`
  const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', code], { encoding: 'utf8' })
  rmSync(folder, { recursive: true, force: true })
  if (child.status !== 0) throw new Error(child.stderr)
  return [
    { name: 'a sleeping workflow, started here', unit: 'B', value: started },
    { name: 'a sleeping workflow, taken over', unit: 'B', value: Number(child.stdout), budget: { absolute: 300 } },
  ]
}

/** Bytes for each head in a process that did nothing but take them over. */
export async function takenOver(folder: string): Promise<number> {
  const { log, inbox, snapshots, close } = await openLmdb(folder)
  const atStart = anonymousBytes()
  const engine = await openSleepers({ log, inbox, snapshots })
  const bytes = (anonymousBytes() - atStart) / count
  await engine.close()
  await close()
  return bytes
}

/** Resident memory that is not the mapped file of the store. */
function anonymousBytes(): number {
  for (let at = 0; at < 3; at++) collectGarbage()
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line?.[1]) * 1_024
}
