import { join, resolve } from 'node:path'
import { describeCommand, importJournal, type Description, type JournalEvent } from '@daruma/workflow'
import { askNode } from '../control.ts'
import { attribute, instantMs, jsonOrText } from './input.ts'
import { instant, printJson, printTable } from './output.ts'

/** `daruma workflow ...`: talks to the node of an app folder. */
export interface WorkflowFlags {
  readonly dir: string
  readonly data?: string
  readonly json?: boolean
}

const ask = (flags: WorkflowFlags, method: string, params: Record<string, unknown> = {}): Promise<unknown> =>
  askNode(flags.data ?? join(resolve(flags.dir), '.daruma'), method, params)

export async function start(
  type: string,
  words: readonly string[],
  flags: WorkflowFlags & { id?: string; host?: string; wait?: boolean },
): Promise<number> {
  const { host, id } = flags
  const started = (await ask(flags, 'workflow.start', {
    type,
    args: words.map(jsonOrText),
    ...(host === undefined ? {} : { host }),
    ...(id === undefined ? {} : { id }),
  })) as { pid: string; workflowId: string }
  if (flags.wait !== true) {
    if (flags.json === true) printJson(started)
    else process.stdout.write(`${started.workflowId}\n`)
    return 0
  }
  const { value, error } = (await ask(flags, 'workflow.wait', { id: started.workflowId })) as {
    value?: unknown
    error?: { message: string }
  }
  if (error !== undefined) {
    process.stderr.write(`daruma: workflow ${started.workflowId} failed: ${error.message}\n`)
    return 1
  }
  printJson(value ?? null)
  return 0
}

export interface ListFlags extends WorkflowFlags {
  readonly status?: string
  readonly type?: string
  readonly queue?: string
  readonly id?: string
  readonly since?: string
  readonly until?: string
  readonly attr?: readonly string[]
}

export async function list(flags: ListFlags): Promise<number> {
  const { status, type, queue, id, since, until, attr } = flags
  const found = (await ask(flags, 'workflow.list', {
    ...(status === undefined ? {} : { status }),
    ...(type === undefined ? {} : { type }),
    ...(queue === undefined ? {} : { queue }),
    ...(id === undefined ? {} : { idPrefix: id }),
    ...(since === undefined ? {} : { startedFromMs: instantMs(since) }),
    ...(until === undefined ? {} : { startedBeforeMs: instantMs(until) }),
    ...(attr === undefined ? {} : { attributes: Object.fromEntries(attr.map(attribute)) }),
  })) as Description[]
  if (flags.json === true) printJson(found)
  else {
    printTable(
      found.map((each) => ({
        id: each.workflowId,
        type: each.type,
        status: each.status,
        started: instant(each.startedAtMs),
        events: each.historyLength,
        'waits for': each.waitingFor.join(', '),
      })),
      ['id', 'type', 'status', 'started', 'events', 'waits for'],
      'no workflows',
    )
  }
  return 0
}

export async function show(id: string, flags: WorkflowFlags): Promise<number> {
  const found = (await ask(flags, 'workflow.show', { id })) as Description
  if (flags.json === true) printJson(found)
  else {
    for (const [field, value] of Object.entries(found)) {
      const text = field.endsWith('AtMs')
        ? instant(value as number)
        : typeof value === 'string'
          ? value
          : JSON.stringify(value)
      process.stdout.write(`${field.replace(/AtMs$/, '').padEnd(18)}${text}\n`)
    }
  }
  return 0
}

export async function signal(
  id: string,
  topic: string,
  words: readonly string[],
  flags: WorkflowFlags,
): Promise<number> {
  await ask(flags, 'workflow.signal', { id, topic, payload: words.map(jsonOrText) })
  if (flags.json === true) printJson({ delivered: true })
  else process.stdout.write(`delivered to ${id}\n`)
  return 0
}

export async function update(
  id: string,
  name: string,
  words: readonly string[],
  flags: WorkflowFlags & { readonly updateId?: string; readonly accepted?: boolean },
): Promise<number> {
  const { updateId, accepted } = flags
  const { value } = (await ask(flags, 'workflow.update', {
    id,
    name,
    args: words.map(jsonOrText),
    ...(updateId === undefined ? {} : { updateId }),
    ...(accepted === true ? { waitFor: 'accepted' } : {}),
  })) as { value?: unknown }
  if (accepted === true && flags.json !== true) process.stdout.write(`accepted by ${id}\n`)
  else printJson(value ?? null)
  return 0
}

export async function query(id: string, name: string, words: readonly string[], flags: WorkflowFlags): Promise<number> {
  printJson(await ask(flags, 'workflow.query', { id, name, args: words.map(jsonOrText) }))
  return 0
}

export async function end(
  how: 'cancel' | 'terminate' | 'retry',
  id: string,
  reason: string | undefined,
  flags: WorkflowFlags,
): Promise<number> {
  await ask(flags, `workflow.${how}`, { id, ...(reason === undefined ? {} : { reason }) })
  const done = { cancel: 'cancellation recorded for', terminate: 'terminated', retry: 'trying again:' }[how]
  if (flags.json === true) printJson({ id, [how]: true })
  else process.stdout.write(`${done} ${id}\n`)
  return 0
}

export async function history(id: string, flags: WorkflowFlags): Promise<number> {
  const journal = await ask(flags, 'workflow.history', { id })
  if (flags.json === true) printJson(journal)
  else
    for (const [at, event] of importJournal(journal).events.entries())
      process.stdout.write(`${String(at + 1).padStart(4)}  ${lineOf(event)}\n`)
  return 0
}

function lineOf(event: JournalEvent): string {
  switch (event.kind) {
    case 'started':
      return `${instant(event.atMs)}  started run ${event.run} of ${event.type}`
    case 'turn': {
      const asked = event.commands.map(({ command }) => describeCommand(command)).join(', ')
      const wake =
        'id' in event.wake
          ? `${event.wake.kind} #${event.wake.id}`
          : event.wake.kind === 'message'
            ? `message "${event.wake.topic}"`
            : event.wake.kind === 'update'
              ? `update "${event.wake.name}"`
              : event.wake.kind
      const end = event.end === undefined ? '' : `  -> ${event.end.kind}`
      return `${instant(event.atMs)}  ${wake}${asked === '' ? '' : `: ${asked}`}${end}`
    }
    case 'queued':
      return `${instant(event.atMs)}  queued ${event.wake.kind}`
    case 'attempt_failed':
      return `${instant(event.atMs)}  attempt ${event.attempt} of #${event.id} failed: ${event.error.message}; next at ${instant(event.nextAtMs)}`
    case 'settled':
      return `                      delivered ${event.keys.join(', ')}`
    case 'watched':
      return `                      watched by ${String(event.watcher.pid)}`
    case 'closed':
      return `${instant(event.atMs)}  ${event.end.kind}`
  }
}
