import { AppError } from '@daruma/protocol'
import type { Owned, Process } from './process.ts'

class Registration implements Owned {
  readonly name: string
  readonly process: Process
  /** A further name, beside the one name that a process may have. */
  readonly alias: boolean
  readonly #names: Names

  constructor(names: Names, name: string, process: Process, alias: boolean) {
    this.#names = names
    this.name = name
    this.process = process
    this.alias = alias
  }

  ownerEnded(): void {
    this.#names.drop(this)
  }
}

/** Local names. A name is free again before anybody learns that its holder ended (rule 13). */
export class Names {
  readonly #byName = new Map<string, Registration>()

  /** @throws AppError already_exists (taken, holder in the details), invalid (empty; it has another name) - rule 24 */
  register(name: string, process: Process, options: { readonly alias?: boolean } = {}): void {
    const alias = options.alias === true
    const held = this.#byName.get(name)
    if (held !== undefined) {
      throw new AppError('already_exists', `the name "${name}" is taken by ${held.process.pid}`, {
        name,
        pid: held.process.pid,
      })
    }
    if (name === '') throw new AppError('invalid', 'a name must not be empty')
    const own = alias ? undefined : this.nameOf(process)
    if (own !== undefined) {
      throw new AppError('invalid', `${process.pid} cannot be named "${name}": it is "${own}" already`, { name: own })
    }
    const registration = new Registration(this, name, process, alias)
    this.#byName.set(name, registration)
    process.own(registration)
  }

  /** @throws AppError not_found - nobody holds it (rule 24) */
  unregister(name: string): void {
    const held = this.#byName.get(name)
    if (held === undefined) throw new AppError('not_found', `nobody holds the name "${name}"`, { name })
    held.process.extras?.owned?.delete(held)
    this.#byName.delete(name)
  }

  find(name: string): Process | undefined {
    return this.#byName.get(name)?.process
  }

  nameOf(process: Process): string | undefined {
    const { extras } = process
    if (extras === undefined || extras.owned === undefined) return undefined
    for (const owned of extras.owned) if (owned instanceof Registration && !owned.alias) return owned.name
    return undefined
  }

  drop(registration: { readonly name: string; readonly process: Process }): void {
    if (this.#byName.get(registration.name)?.process === registration.process) this.#byName.delete(registration.name)
  }

  /** All names and their holders, in order of registration. */
  *[Symbol.iterator](): Iterator<readonly [string, Process]> {
    for (const [name, registration] of this.#byName) yield [name, registration.process]
  }
}
