import { createSystem, programBehavior, programMessage } from '@daruma/actors'
import type { Program, ProgramFactory } from '@daruma/protocol'
import { rate, scaled, type Measurement } from '../harness.ts'

const count = scaled(200_000)

/** Returns what it is given: what a call of a function costs without any language in it. */
const identity: ProgramFactory = () => ({
  start: (_host, args) => ({ kind: 'returned', value: args[0] }),
  resume: () => ({ kind: 'idle' }),
  stop: () => undefined,
})

/** One process per call, one after the other in groups of a hundred, its result awaited. */
async function calls(): Promise<void> {
  const system = createSystem()
  for (let at = 0; at < count; at += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_unused, index) =>
        system.exited(
          system.spawn(programBehavior({ entry: 'bench:call', args: [index], create: identity, handlers: {} })),
        ),
      ),
    )
  }
  await system.shutdown()
}

/** A program that counts messages and asks its host for nothing. */
async function messages(): Promise<void> {
  const system = createSystem()
  let left = count
  const counter: ProgramFactory = (): Program => ({
    start: () => ({ kind: 'idle' }),
    resume: () => (--left === 0 ? { kind: 'returned', value: null } : { kind: 'idle' }),
    stop: () => undefined,
  })
  const pid = system.spawn(programBehavior({ entry: 'bench:count', args: [], create: counter, handlers: {} }))
  const done = system.exited(pid)
  const message = programMessage('tick', [1])
  for (let at = 0; at < count; at++) system.send(pid, message)
  await done
  await system.shutdown()
}

export async function run(): Promise<readonly Measurement[]> {
  return [
    { name: 'a process per call, result awaited', unit: 'calls/s', value: await rate(count, calls) },
    { name: 'messages to a program', unit: 'messages/s', value: await rate(count, messages) },
  ]
}
