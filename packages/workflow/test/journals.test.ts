import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { journalVersion } from '@daruma/workflow/internal'
import { WorkflowLab } from '@daruma/workflow/testing'
import { journalFolder, restore, type JournalFile } from './fixtures/journal-file.ts'
import { functions, programs } from './fixtures/programs.ts'
import { recordJournals } from './fixtures/record-journals.ts'
import { stories } from './fixtures/stories.ts'

// RECORD_JOURNALS=1 records the files of a new format version, once.
if (process.env['RECORD_JOURNALS'] !== undefined) await recordJournals()

const versions = Array.from({ length: journalVersion }, (_, at) => at + 1)

describe.each(versions)('a log of journal version %i', (version) => {
  const folder = journalFolder(version)
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []

  test('is recorded', () => {
    expect(names.length).toBeGreaterThan(5)
  })

  describe.each(names)('%s', (name) => {
    const file = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as JournalFile

    test.each([10_000, 0])(
      'recovers and comes to the recorded ends with %i programs in memory',
      async (maxResident) => {
        const lab = new WorkflowLab({ workflows: programs, functions, maxResident })
        lab.clock.advance(file.wallMs - lab.clock.wallMs())
        await restore(lab.log, file.records)
        await lab.open()
        await lab.idle()
        expect([...lab.engine.list()].filter(({ status }) => status === 'stuck')).toEqual([])
        await stories.find((story) => `${story.name}.json` === name)?.goOn(lab)
        for (const [id, outcome] of Object.entries(file.outcomes)) {
          expect(withoutStack(await lab.ended(id)), id).toEqual(withoutStack(outcome))
        }
      },
    )
  })
})

/** Stacks are of the recording machine. */
function withoutStack(outcome: JournalFile['outcomes'][string]): unknown {
  const { stack: _, ...error } = outcome.error ?? { kind: 'unknown', message: '' }
  return { value: outcome.value, error }
}
