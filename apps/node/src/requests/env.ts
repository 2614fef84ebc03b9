import { resolve } from 'node:path'
import { AppError, entryName } from '@daruma/protocol'
import { nearHint, viewOf, type Entry, type EnvVariable } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import { EnvFile } from './env-file.ts'
import type { RequestHandlers } from './table.ts'

export interface EnvOptions {
  /** What an `env.storage.os` reads. Programs see of it what an `env.variable` names, and nothing else. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Relative paths of files start here. */
  readonly folder: string
}

const storageKinds = [
  'env.storage.memory',
  'env.storage.os',
  'env.storage.static',
  'env.storage.file',
  'env.storage.router',
] as const

/** A variable that the app declares, and the name it has in its storage. */
interface Variable {
  readonly id: string
  readonly name: string
  readonly view: EnvVariable
}

/**
 * Variables: each is an `env.variable` entry, asked for by its variable name or by the entry's id. What an app does not
 * declare its programs do not see.
 */
export function envRequests({ registry }: Pick<NodeParts, 'registry'>, options: EnvOptions): RequestHandlers {
  const storages = new EnvStorages(registry, options)

  const variables = (): readonly Variable[] =>
    registry.entries().flatMap((entry) => {
      if (entry.kind !== 'env.variable') return []
      const view = viewOf(entry, 'env.variable')
      return [{ id: entry.id, name: view.variable ?? entryName(entry.id), view }]
    })

  const find = (key: string): Variable => {
    const all = variables()
    const found = all.find(({ id, view }) => id === key || view.variable === key)
    if (found !== undefined) return found
    const near = nearHint(
      key,
      all.flatMap(({ id, view }) => (view.variable === undefined ? [id] : [id, view.variable])),
    )
    const hint = near === undefined ? '; declare it as an env.variable entry' : `; ${near}`
    throw new AppError('not_found', `no variable ${key}${hint}`, undefined, { retryable: false })
  }

  const read = async ({ name, view }: Variable): Promise<string | undefined> =>
    (await storages.get(view.storage, name)) ?? view.default

  return {
    'env.get': async ({ key }) => {
      const value = await read(find(key))
      if (value !== undefined) return value
      throw new AppError('not_found', `the variable ${key} is not set, and has no default`, undefined, {
        retryable: false,
      })
    },
    'env.set': async ({ key, value }) => {
      const { id, name, view } = find(key)
      if (view.readonly) throw readOnly(`the variable ${id} is readonly`)
      await storages.set(view.storage, name, value)
      return null
    },
    'env.all': async () => {
      const named = variables().filter(({ view }) => view.variable !== undefined)
      const pairs = await Promise.all(named.map(async (variable) => [variable.name, await read(variable)] as const))
      return Object.fromEntries(pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
    },
  }
}

class EnvStorages {
  readonly #registry: NodeParts['registry']
  readonly #options: EnvOptions
  readonly #memory = new Map<string, Map<string, string>>()
  /** By path: one writer per file. */
  readonly #files = new Map<string, EnvFile>()

  constructor(registry: NodeParts['registry'], options: EnvOptions) {
    this.#registry = registry
    this.#options = options
  }

  async get(storage: string, name: string): Promise<string | undefined> {
    const view = viewOf(this.#entry(storage), ...storageKinds)
    switch (view.type) {
      case 'memory':
        return this.#memory.get(storage)?.get(name)
      case 'os':
        return this.#options.environment[name]
      case 'static':
        return Object.hasOwn(view.values, name) ? view.values[name] : undefined
      case 'file':
        return this.#file(storage).get(name)
      case 'router':
        for (const inner of view.storages) {
          const value = await this.get(inner, name)
          if (value !== undefined) return value
        }
        return undefined
    }
  }

  /** @throws AppError permission_denied - a storage that is only read */
  async set(storage: string, name: string, value: string): Promise<void> {
    const view = viewOf(this.#entry(storage), ...storageKinds)
    switch (view.type) {
      case 'memory': {
        const values = this.#memory.get(storage) ?? new Map<string, string>()
        this.#memory.set(storage, values.set(name, value))
        return
      }
      case 'file':
        return this.#file(storage).set(name, value)
      case 'router':
        return this.set(view.storages[0]!, name, value)
      case 'os':
      case 'static':
        throw readOnly(`${name} is kept in ${storage}, an env.storage.${view.type}, which is only read`)
    }
  }

  #entry(id: string): Entry {
    const entry = this.#registry.get(id)
    if (entry !== undefined) return entry
    throw new AppError('not_found', `no env storage ${id}`, undefined, { retryable: false })
  }

  #file(storage: string): EnvFile {
    const { filePath, autoCreate, fileMode, dirMode } = viewOf(this.#entry(storage), 'env.storage.file') as Extract<
      ReturnType<typeof viewOf<'env.storage.file'>>,
      { type: 'file' }
    >
    const path = resolve(this.#options.folder, filePath)
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const file = new EnvFile({ path, autoCreate, fileMode, dirMode })
    this.#files.set(path, file)
    return file
  }
}

const readOnly = (message: string): AppError =>
  new AppError('permission_denied', message, undefined, { retryable: false })
