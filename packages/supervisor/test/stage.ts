import type { SystemEvent } from '@daruma/actors'
import { TestSystem } from '@daruma/actors/testing'
import type { ExitReason, Pid } from '@daruma/protocol'
import type { ChildInfo, ChildSpec, Supervisor, SupervisorReport, SupervisorSpec } from '../src/index.ts'
import { startSupervisor, whichChildren } from '../src/index.ts'
import type { StartAct, StopAct } from '../src/testing.ts'
import { unstable } from '../src/testing.ts'

type Acts = { readonly starts?: readonly StartAct[]; readonly stop?: StopAct }

/** A test system with children that do as told, and a log of what they did. */
export class Stage implements AsyncDisposable {
  readonly test: TestSystem
  readonly log: string[] = []

  constructor(seed?: string) {
    this.test = new TestSystem(seed === undefined ? {} : { seed })
  }

  get system() {
    return this.test.system
  }

  child(id: string, { starts, stop, ...spec }: Partial<ChildSpec> & Acts = {}): ChildSpec {
    const acts = { ...(starts === undefined ? {} : { starts }), ...(stop === undefined ? {} : { stop }) }
    return { id, start: unstable(id, { ...acts, log: (line) => this.log.push(line) }), ...spec }
  }

  abc(): ChildSpec[] {
    return ['a', 'b', 'c'].map((id) => this.child(id))
  }

  /** Starts a supervisor and forgets what was logged of that. */
  async top(spec: SupervisorSpec, name?: string): Promise<Supervisor> {
    const top = await this.run(startSupervisor(this.system, spec, name === undefined ? {} : { name }))
    this.log.length = 0
    return top
  }

  /** Runs until idle, then hands on what `promise` has become by then. */
  async run<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => undefined)
    await this.test.runUntilIdle()
    return promise
  }

  which(top: Supervisor): Promise<readonly ChildInfo[]> {
    return this.run(whichChildren(this.system, top))
  }

  async phases(top: Supervisor): Promise<Record<string, string>> {
    return Object.fromEntries((await this.which(top)).map(({ id, phase }) => [id, phase]))
  }

  async pidOf(top: Supervisor, id: string): Promise<Pid> {
    const pid = (await this.which(top)).find((child) => child.id === id)?.pid
    if (pid === undefined) throw new Error(`${id} has no process`)
    return pid
  }

  async crash(top: Supervisor, id: string): Promise<void> {
    this.system.send(await this.pidOf(top, id), { kind: 'crash' })
    await this.test.runUntilIdle()
  }

  async exit(top: Supervisor, id: string, reason: ExitReason): Promise<void> {
    this.system.send(await this.pidOf(top, id), { kind: 'exit', reason })
    await this.test.runUntilIdle()
  }

  /** Lines since the last look. */
  took(): string[] {
    return this.log.splice(0)
  }

  get reports(): SupervisorReport[] {
    return this.test.events.flatMap((event: SystemEvent) =>
      event.kind === 'report' && event.topic === 'supervisor' ? [event.data as SupervisorReport] : [],
    )
  }

  reportsOf(kind: SupervisorReport['kind']): SupervisorReport[] {
    return this.reports.filter((report) => report.kind === kind)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.test[Symbol.asyncDispose]()
  }
}
