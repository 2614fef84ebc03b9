import type { Snapshots } from '@daruma/protocol'
import { assertName, type Bytes, type Environment } from './environment.ts'

/** Snapshots on LMDB: a put is on disk when it resolves. */
export class LmdbSnapshots implements Snapshots {
  readonly #environment: Environment
  readonly #values: Bytes

  constructor(environment: Environment) {
    this.#environment = environment
    this.#values = environment.openBytes('snapshots')
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#environment.assertOpen()
    return this.#values.get([key])
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertName('snapshot key', key)
    const given = Buffer.from(bytes)
    await this.#environment.write(() => this.#values.putSync([key], given))
  }

  async delete(key: string): Promise<void> {
    await this.#environment.write(() => this.#values.removeSync([key]))
  }
}
