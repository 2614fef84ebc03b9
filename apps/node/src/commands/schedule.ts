import { join, resolve } from 'node:path'
import type { ScheduleDescription } from '@daruma/workflow'
import { askNode } from '../control.ts'
import { instantMs, jsonOrText } from './input.ts'
import { instant, printJson, printTable } from './output.ts'
import type { WorkflowFlags } from './workflow.ts'

/** `daruma workflow schedule ...`: the schedules of a running node. */
export interface ScheduleFlags extends WorkflowFlags {
  readonly cron?: readonly string[]
  readonly zone?: string
  readonly overlap?: string
  readonly missed?: string
  readonly host?: string
  readonly paused?: boolean
}

const ask = (flags: WorkflowFlags, method: string, params: Record<string, unknown> = {}): Promise<unknown> =>
  askNode(flags.data ?? join(resolve(flags.dir), '.daruma'), `schedule.${method}`, params)

export async function put(
  how: 'create' | 'replace',
  name: string,
  type: string,
  input: string | undefined,
  flags: ScheduleFlags,
): Promise<number> {
  const { cron = [], zone, overlap, missed, paused, host } = flags
  const spec = {
    cron,
    workflow: { type, ...(input === undefined ? {} : { input: jsonOrText(input) }) },
    ...(zone === undefined ? {} : { timeZone: zone }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(missed === undefined ? {} : { missed }),
    ...(paused === true ? { isPaused: true } : {}),
  }
  await ask(flags, how, { name, spec, ...(host === undefined ? {} : { host }) })
  return show(name, flags)
}

export async function list(flags: WorkflowFlags): Promise<number> {
  const found = (await ask(flags, 'list')) as (ScheduleDescription & { name: string })[]
  if (flags.json === true) printJson(found)
  else {
    printTable(
      found.map(({ name, spec, isPaused, nextTicksMs: [next], running, started, skipped }) => ({
        name,
        type: spec.workflow.type,
        cron: [spec.cron].flat().join(', '),
        zone: spec.timeZone ?? 'UTC',
        next: isPaused ? 'paused' : next === undefined ? 'never' : instant(next),
        running: running.length,
        started,
        skipped,
      })),
      ['name', 'type', 'cron', 'zone', 'next', 'running', 'started', 'skipped'],
      'no schedules',
    )
  }
  return 0
}

export async function show(name: string, flags: WorkflowFlags): Promise<number> {
  const found = (await ask(flags, 'show', { name })) as ScheduleDescription
  if (flags.json === true) printJson(found)
  else {
    const next = found.isPaused ? ['paused'] : found.nextTicksMs.map(instant)
    process.stdout.write(
      `${name}: ${[found.spec.cron].flat().join(', ')} (${found.spec.timeZone ?? 'UTC'}) starts ${found.spec.workflow.type}\n` +
        `next: ${next.join(', ') || 'never'}\n` +
        `started ${found.started}, skipped ${found.skipped}, running: ${found.running.join(', ') || 'none'}\n`,
    )
  }
  return 0
}

export async function change(
  how: 'pause' | 'resume' | 'trigger' | 'delete',
  name: string,
  note: string | undefined,
  flags: WorkflowFlags,
): Promise<number> {
  await ask(flags, how, { name, ...(note === undefined ? {} : { note }) })
  if (flags.json === true) printJson({ name, [how]: true })
  else process.stdout.write(`${how} ${name}\n`)
  return 0
}

export async function backfill(name: string, from: string, to: string, flags: WorkflowFlags): Promise<number> {
  const ticks = await ask(flags, 'backfill', { name, fromMs: instantMs(from), toMs: instantMs(to) })
  if (flags.json === true) printJson({ name, ticks })
  else process.stdout.write(`${String(ticks)} ticks of ${name}\n`)
  return 0
}
