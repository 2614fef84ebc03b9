import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { toWire } from '@daruma/protocol'
import { describeMismatch, importJournal, ownProgram, replayJournal } from '@daruma/workflow'
import { loadWholeApp } from '../app.ts'
import { usage } from '../failures.ts'
import { loadOptions, type GlobalFlags } from './flags.ts'

interface Verdict {
  readonly file: string
  readonly workflow?: string
  /** Absent: the code does what the journal says. */
  readonly problem?: string
}

/**
 * `daruma workflow replay <dir> <journals...>`: runs journals that `history --json` wrote against the code in an app
 * folder, performing nothing. Exit code 1 when one does not match, with both sides.
 */
export async function replay(folder: string, places: readonly string[], flags: GlobalFlags): Promise<number> {
  const app = loadWholeApp(loadOptions(folder, flags))
  const files = places.flatMap(journalsAt)
  if (files.length === 0) throw usage('no journals: name files, or folders with .json files')
  const verdicts: Verdict[] = []
  for (const file of files) {
    try {
      const journal = importJournal(JSON.parse(readFileSync(file, 'utf8')))
      const [started] = journal.events
      const type = started?.kind === 'started' ? started.type : ''
      const create = ownProgram(type) ?? app.programs.factory(type, ['workflow.lua'])
      const mismatch = await replayJournal(journal, create)
      const workflow = String(journal.self.id)
      verdicts.push(
        mismatch === undefined ? { file, workflow } : { file, workflow, problem: describeMismatch(mismatch) },
      )
    } catch (error) {
      verdicts.push({ file, problem: toWire(error).message })
    }
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(verdicts)}\n`)
  else
    for (const { file, workflow, problem } of verdicts)
      process.stdout.write(problem === undefined ? `ok    ${file}: ${workflow}\n` : `WRONG ${file}: ${problem}\n`)
  return verdicts.some(({ problem }) => problem !== undefined) ? 1 : 0
}

function journalsAt(place: string): string[] {
  let isFolder: boolean
  try {
    isFolder = statSync(place).isDirectory()
  } catch {
    throw usage(`no file or folder ${place}`)
  }
  if (!isFolder) return [place]
  return readdirSync(place)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => join(place, name))
}
