import type { Behavior } from '@daruma/actors'
import { createSystem, next } from '@daruma/actors'
import { countChildren, startDynamicChild, startDynamicSupervisor } from '@daruma/supervisor'
import { rate, scaled, type Measurement } from '../harness.ts'

const idle: Behavior<never, undefined> = { receive: () => next.same }

/** Starts so many children, then stops all of them with their supervisor. */
async function startAndStop(children: number): Promise<void> {
  const system = createSystem()
  const top = await startDynamicSupervisor(system, { child: { start: idle, restart: 'temporary' } })
  const started: Promise<unknown>[] = []
  for (let at = 0; at < children; at++) started.push(startDynamicChild(system, top))
  await Promise.all(started)
  const { active } = await countChildren(system, top)
  if (active !== children) throw new Error(`${active} of ${children} children run`)
  const ended = system.exited(top)
  system.exit(top, { kind: 'shutdown' })
  await ended
  if (system.processes().length > 0) throw new Error('not all children ended')
}

export async function run(): Promise<Measurement> {
  const children = scaled(100_000)
  const few = await rate(
    children,
    async () => {
      for (let round = 0; round < 10; round++) await startAndStop(children / 10)
    },
    3,
  )
  const many = await rate(children, () => startAndStop(children), 3)
  return {
    name: 'start and stop 100,000, beside 10,000',
    unit: 'children/s',
    value: many,
    floor: few,
    budget: { share: 0.6 },
  }
}
