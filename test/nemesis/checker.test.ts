import type { Commit, JournalEvent } from '@daruma/workflow/internal'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Checker, type ReadCommit } from './checker.ts'
import type { LedgerLine, Note } from './ledger.ts'
import type { Letter } from './workload.ts'

type Turn = Extract<JournalEvent, { kind: 'turn' }>
type Event = ReadCommit['events'][number]

/** Everything that a checker is given. Each test plants one thing in a history that is right. */
interface History {
  readonly commits: ReadCommit[]
  readonly ledger: LedgerLine[]
  readonly notes: Note[]
}

const partition = 'default.0'

function claim(seq: number, epoch: number): ReadCommit {
  const commit: Commit = { kind: 'claimed', epoch, commit: 0, from: 0, node: 'n' }
  return { partition, seq, commit, events: [] }
}

function events(seq: number, epoch: number, number: number, ...list: Event[]): ReadCommit {
  return { partition, seq, commit: { kind: 'events', epoch, commit: number, from: 0, entries: [] }, events: list }
}

function started(workflow: string, atMs: number, run = 1, more: object = {}): Event {
  const event = { kind: 'started' as const, atMs, run, type: 'chain', args: [], seed: 's', gates: 0, ...more }
  return { workflow, run, event }
}

function turn(workflow: string, atMs: number, more: Partial<Turn>, run = 1): Event {
  return { workflow, run, event: { kind: 'turn', atMs, wake: { kind: 'start' }, commands: [], ...more } }
}

const call = (id: number): Turn['commands'][number] => ({ id, command: { kind: 'call', target: 'work', args: [] } })
const completed = (id: number, value: unknown = 1): Turn['wake'] => ({ kind: 'completed', id, value })
const letter = (from: string, serial: number): Turn['wake'] => ({
  kind: 'message',
  from: undefined,
  topic: 'mail',
  payload: [{ from, serial } satisfies Letter],
  messageId: `${from}#${serial}`,
})
const ran = (life: string, key: string, attempt = 1, atMs = 20): LedgerLine => ({
  kind: 'run',
  life,
  key,
  attempt,
  atMs,
})
const owns = (life: string, epoch: number): LedgerLine => ({ kind: 'claim', life, partition, epoch })

/** A chain of a call with one retry over a change of owner, a sleep, a mailbox that goes on as a new run. */
function right(): History {
  const attemptFailed: Event = {
    workflow: 'c',
    run: 1,
    event: {
      kind: 'attempt_failed',
      atMs: 25,
      id: 1,
      attempt: 1,
      error: { kind: 'internal', message: 'no', retryable: true },
      nextAtMs: 40,
    },
  }
  return {
    commits: [
      claim(1, 1),
      events(2, 1, 1, started('c', 10), turn('c', 10, { commands: [call(1)] })),
      events(3, 1, 2, attemptFailed, started('m', 30), turn('m', 30, {})),
      claim(5, 2),
      events(
        6,
        2,
        1,
        turn('c', 60, {
          wake: completed(1, 7),
          commands: [{ id: 2, command: { kind: 'sleep', durationMs: 100 }, fireAtMs: 160 }],
        }),
        turn('m', 61, { wake: letter('a', 1) }),
        turn('m', 62, { wake: letter('b', 1), end: { kind: 'continued' } }),
        started('m', 62, 2, { continued: true, messages: [letter('b', 1)] }),
        turn('m', 62, {}, 2),
      ),
      events(
        8,
        2,
        2,
        turn('c', 165, { wake: completed(2, null), end: { kind: 'completed', value: [7] } }),
        turn('m', 166, { wake: letter('a', 2), end: { kind: 'completed', value: [] } }, 2),
      ),
    ],
    ledger: [owns('A', 1), ran('A', 'c/1/1', 1, 20), owns('B', 2), ran('B', 'c/1/1', 2, 41), ran('A', 'c/1/1', 2, 45)],
    notes: [
      { kind: 'started', workflow: 'c', type: 'chain', expected: { status: 'completed', value: [7] } },
      { kind: 'started', workflow: 'm', type: 'mailbox', expected: { status: 'completed' } },
      { kind: 'sent', workflow: 'm', messageId: 'a#1' },
      { kind: 'sent', workflow: 'm', messageId: 'b#1' },
      { kind: 'sent', workflow: 'm', messageId: 'a#2' },
      { kind: 'refused', workflow: 'm', messageId: 'a#3', reason: 'not_found' },
    ],
  }
}

function check({ commits, ledger, notes }: History): string[] {
  const checker = new Checker()
  for (const commit of commits) checker.take(commit)
  return checker.verdict(ledger, notes).violations.map(({ guarantee, text }) => `${guarantee} ${text}`)
}

/** The commit at `index` with other events. */
function replaced(history: History, index: number, change: (events: Event[]) => void): void {
  const commit = history.commits[index]!
  const list = [...commit.events]
  change(list)
  history.commits[index] = { ...commit, events: list }
}

function altered(event: Event, more: object): Event {
  return { ...event, event: { ...event.event, ...more } as JournalEvent }
}

test('a history that keeps every guarantee is accepted, and counted', () => {
  const { commits, ledger, notes } = right()
  const checker = new Checker()
  for (const commit of commits) checker.take(commit)
  expect(checker.verdict(ledger, notes)).toEqual({
    violations: [],
    account: {
      partitions: 1,
      commits: 6,
      claims: 2,
      workflows: 2,
      runs: 3,
      events: 12,
      executions: 3,
      repeated: 2,
      messages: 3,
    },
  })
})

describe('a planted violation is found', () => {
  const planted: readonly (readonly [string, RegExp, (history: History) => void])[] = [
    [
      'an append of the old owner behind the claim of the new one',
      /^G4 .*commit 3 of epoch 1 stands where epoch 2 owns/,
      ({ commits }) => commits.splice(4, 0, events(5.5, 1, 3, turn('m', 40, {}))),
    ],
    [
      'an epoch that comes twice',
      /^G4 .*epoch 1 is claimed behind epoch 1/,
      ({ commits }) => void (commits[3] = claim(5, 1)),
    ],
    [
      'an epoch that was left out',
      /^G4 .*epoch 3 is claimed behind epoch 1/,
      ({ commits }) => void (commits[3] = claim(5, 3)),
    ],
    ['a lost commit', /^G4 .*epoch 1 goes from commit 0 to 2/, ({ commits }) => commits.splice(1, 1)],
    [
      'a commit that is stored twice',
      /^G4 .*epoch 1 goes from commit 2 to 2/,
      ({ commits }) => commits.splice(3, 0, { ...commits[2]!, seq: 4, events: [] }),
    ],
    [
      'commits whose sequences do not grow',
      /^G4 .*stands behind 8/,
      ({ commits }) => commits.push(events(8, 2, 3, { workflow: 'c', run: 1, event: { kind: 'settled', keys: [] } })),
    ],
    [
      'an event behind the end',
      /^G2 c\/1: turn behind its end/,
      ({ commits }) => commits.push(events(9, 2, 3, turn('c', 170, {}))),
    ],
    [
      'a command id that was left out',
      /^G2 c\/1: command 3 follows command 1/,
      (history) =>
        replaced(history, 4, (list) => {
          list[0] = altered(list[0]!, { commands: [{ ...call(3), id: 3 }] })
        }),
    ],
    [
      'a run that is started twice',
      /^G2 m\/2: it is started twice/,
      (history) => replaced(history, 4, (list) => list.push(started('m', 63, 2, { continued: true }))),
    ],
    [
      'a workflow of which nothing but a later part is there',
      /^G2 x\/1: an event without a start/,
      ({ commits }) => commits.push(events(9, 2, 3, turn('x', 170, {}))),
    ],
    [
      'a result that is recorded twice',
      /^G3 c\/1\/1: answered 2 times/,
      (history) => replaced(history, 4, (list) => list.push(turn('c', 70, { wake: completed(1, 8) }))),
    ],
    [
      'a result that nobody asked for',
      /^G3 c\/1\/9: completed, nobody asked/,
      (history) => replaced(history, 4, (list) => list.push(turn('c', 70, { wake: completed(9) }))),
    ],
    [
      'a result of a call that was never executed',
      /^G3 c\/1\/1: has a result, and was never executed/,
      ({ ledger }) => void ledger.splice(1, ledger.length),
    ],
    [
      'an execution of a call that was never recorded',
      /^G3 c\/1\/5, .*never recorded as asked/,
      ({ ledger }) => ledger.push(ran('B', 'c/1/5')),
    ],
    [
      'an execution for a workflow that is in no log',
      /^G3 lost\/1\/1, .*in no log/,
      ({ ledger }) => ledger.push(ran('B', 'lost/1/1')),
    ],
    [
      'an execution that came before its request was recorded',
      /^G3 n\/1\/1, .*executed in epoch 1, asked for in epoch 2 only/,
      ({ commits, ledger }) => {
        commits.push(
          events(
            9,
            2,
            3,
            started('n', 170),
            turn('n', 170, { commands: [call(1)] }),
            turn('n', 171, { wake: completed(1), end: { kind: 'completed', value: 1 } }),
          ),
        )
        ledger.push(ran('A', 'n/1/1'), ran('B', 'n/1/1'))
      },
    ],
    [
      'an execution by a later owner than the one that recorded the result',
      /^G3 c\/1\/1, .*executed in epoch 3, its result stands since epoch 2/,
      ({ commits, ledger }) => {
        commits.push(claim(9, 3))
        ledger.push(owns('C', 3), ran('C', 'c/1/1', 2, 200))
      },
    ],
    [
      'an attempt by the owner that has the result',
      /^G3 c\/1\/1, attempt 3 .*beyond attempt 2, which gave its result/,
      ({ ledger }) => ledger.push(ran('B', 'c/1/1', 3, 200)),
    ],
    [
      'an attempt that one owner executes twice',
      /^G3 c\/1\/1, attempt 2 .*had executed attempt 2 before/,
      ({ ledger }) => ledger.push(ran('B', 'c/1/1', 2, 50)),
    ],
    [
      'a retry whose first attempt is not recorded as failed',
      /^G3 c\/1\/1, attempt 2 .*before the failure of attempt 1 was recorded/,
      (history) => replaced(history, 2, (list) => list.shift()),
    ],
    [
      'an execution by a node that never owned the partition',
      /^G4 c\/1\/1, .*executed by a node that never owned default.0/,
      ({ ledger }) => ledger.push(ran('Z', 'c/1/1')),
    ],
    [
      'a retry before its instant',
      /^G6 c\/1\/1, attempt 2 .*executed 3 ms before its instant/,
      ({ ledger }) => void (ledger[3] = ran('B', 'c/1/1', 2, 37)),
    ],
    [
      'a timer before its instant',
      /^G6 c\/1\/2: fired 1 ms early/,
      (history) =>
        replaced(history, 5, (list) => {
          list[0] = altered(list[0]!, { atMs: 159 })
        }),
    ],
    [
      'an instant that is not the duration away',
      /^G6 c\/1\/2: a sleep of 100 ms asked at 60 is for 150/,
      (history) =>
        replaced(history, 4, (list) => {
          list[0] = altered(list[0]!, {
            commands: [{ id: 2, command: { kind: 'sleep', durationMs: 100 }, fireAtMs: 150 }],
          })
        }),
    ],
    [
      'time that goes back',
      /^G6 m\/1: its time goes back from 61 to 59/,
      (history) =>
        replaced(history, 4, (list) => {
          list[2] = altered(list[2]!, { atMs: 59 })
        }),
    ],
    [
      'a message that is taken twice by one run',
      /^G5 m: message a#1 is taken 2 times/,
      (history) => replaced(history, 4, (list) => list.splice(2, 0, turn('m', 61, { wake: letter('a', 1) }))),
    ],
    [
      'a message that is taken by a run and by the next one',
      /^G5 m: message a#1 is taken 2 times/,
      (history) => replaced(history, 5, (list) => list.unshift(turn('m', 150, { wake: letter('a', 1) }, 2))),
    ],
    [
      'a sender whose messages change places',
      /^G5 m: letter 1 of a comes behind 2/,
      (history) => {
        replaced(history, 4, (list) => {
          list[1] = turn('m', 61, { wake: letter('a', 2) })
        })
        replaced(history, 5, (list) => {
          list[1] = altered(list[1]!, { wake: letter('a', 1) })
        })
      },
    ],
    [
      'an acknowledged message that was lost',
      /^G5 m: message a#9 was acknowledged, and is in no log/,
      ({ notes }) => notes.push({ kind: 'sent', workflow: 'm', messageId: 'a#9' }),
    ],
    [
      'a message that was refused, and taken all the same',
      /^G5 m: message a#2 was refused \(gone\), and was taken/,
      ({ notes }) => notes.push({ kind: 'refused', workflow: 'm', messageId: 'a#2', reason: 'gone' }),
    ],
    [
      'an acknowledged start that was lost',
      /^G1 y: its start was acknowledged, and is in no log/,
      ({ notes }) => notes.push({ kind: 'started', workflow: 'y', type: 'chain', expected: { status: 'completed' } }),
    ],
    [
      'a workflow that never ended',
      /^G1 c\/1 \(chain\) never ended/,
      (history) => replaced(history, 5, (list) => list.shift()),
    ],
    [
      'a run that goes on as none',
      /^G1 m\/1 \(chain\) never ended/,
      ({ commits }) => {
        commits.pop()
        const last = commits.at(-1)!
        commits[commits.length - 1] = { ...last, events: last.events.slice(0, 3) }
      },
    ],
    [
      'an end other than the code must have come to',
      /^G1 c: ended with \[7\], not with \[8\]/,
      ({ notes }) =>
        void (notes[0] = {
          kind: 'started',
          workflow: 'c',
          type: 'chain',
          expected: { status: 'completed', value: [8] },
        }),
    ],
    [
      'a workflow that got stuck on its own journal',
      /^G2 c is stuck on B: mismatch/,
      ({ ledger }) => ledger.push({ kind: 'stuck', life: 'B', workflow: 'c', reason: 'mismatch' }),
    ],
  ]

  test.each(planted)('%s', (_title, expected, plant) => {
    const history = right()
    plant(history)
    expect(check(history)).toEqual(expect.arrayContaining([expect.stringMatching(expected)]))
  })
})

test('a mailbox whose code read a letter twice, or not at all, is found by its result', () => {
  const history = right()
  const read = (value: readonly Letter[], letters: Record<string, number>): string[] => {
    const last = history.commits[5]!
    const commits = [...history.commits]
    const end = altered(last.events[1]!, { end: { kind: 'completed', value } })
    commits[5] = { ...last, events: [last.events[0]!, end] }
    const expected = { status: 'completed' as const, letters }
    return check({ ...history, commits, notes: [{ kind: 'started', workflow: 'm', type: 'mailbox', expected }] })
  }
  const [first, second] = [
    { from: 'a', serial: 1 },
    { from: 'a', serial: 2 },
  ]
  expect(read([first!, second!], { a: 2 })).toEqual([])
  expect(read([first!, first!], { a: 2 })).toEqual(['G1 m: its code read letter 1 of a behind 1'])
  expect(read([first!], { a: 2 })).toEqual(['G1 m: its code read 1 of 2 letters of a'])
})

test('what a checkpoint trimmed away is not held against the rest', () => {
  const { commits, ledger, notes } = right()
  expect(check({ commits: commits.slice(4), ledger, notes })).toEqual([])
})

test('no commit of a right history can be left out, unless it is the last or a claim that was not needed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), (index) => {
      const history = right()
      history.commits.splice(index, 1)
      expect(check(history)).not.toEqual([])
    }),
  )
})
