import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { appendFile, lstat, mkdir, open, readdir, realpath, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, resolve, sep } from 'node:path'
import { AppError } from '@daruma/protocol'
import { viewOf } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

export interface FsOptions {
  /** Relative directories start here. */
  readonly folder: string
  /** Larger files are refused, not read. Default 64 MiB. */
  readonly maxReadBytes?: number
}

/**
 * Files of programs: below the directory of an `fs.directory` entry and nowhere else, whatever paths and symbolic links
 * say. That holds against programs; somebody who changes links beside us while we work is not kept out.
 */
export function fsRequests({ registry }: Pick<NodeParts, 'registry'>, options: FsOptions): RequestHandlers {
  const maxReadBytes = options.maxReadBytes ?? 64 << 20

  const rootOf = async (id: string): Promise<string> => {
    const entry = registry.get(id)
    if (entry?.kind !== 'fs.directory') {
      const hint = entry === undefined ? '' : `: it is a ${entry.kind}`
      throw new AppError('not_found', `no fs.directory ${id}${hint}`, undefined, { retryable: false })
    }
    const { directory, autoInit, mode } = viewOf(entry, 'fs.directory')
    const root = resolve(options.folder, directory)
    if (autoInit) await mkdir(root, { recursive: true, ...(mode === undefined ? {} : { mode: parseInt(mode, 8) }) })
    return realpath(root)
  }

  /** Where `path` really is; `itself`: a link, and not what it points to. What is not there yet is where its folder is. */
  const placeOf = async (id: string, path: string, itself: boolean): Promise<string> => {
    const root = await rootOf(id)
    const wanted = resolve(root, `.${sep}${path}`)
    const real =
      itself && wanted !== root
        ? resolve(await realpathOfExisting(dirname(wanted)), basename(wanted))
        : await realpathOfExisting(wanted)
    if (real === root || real.startsWith(root + sep)) return real
    throw new AppError('permission_denied', `${path} lies outside of ${id}`, undefined, { retryable: false })
  }

  const at = async <T>(id: string, path: string, act: (place: string) => Promise<T>, itself = false): Promise<T> => {
    try {
      return await act(await placeOf(id, path, itself))
    } catch (error) {
      throw failure(id, path, error)
    }
  }

  return {
    'fs.open': async ({ fs }) => {
      try {
        await rootOf(fs)
        return null
      } catch (error) {
        throw failure(fs, '/', error)
      }
    },
    'fs.read': ({ fs, path }) =>
      at(fs, path, async (place) => {
        const file = await open(place)
        try {
          const { size } = await file.stat()
          if (size > maxReadBytes) {
            throw new AppError('invalid', `${path} has ${size} bytes; at most ${maxReadBytes} are read at once`)
          }
          const bytes = await file.readFile()
          return isUtf8(bytes) ? bytes.toString('utf8') : new Uint8Array(bytes)
        } finally {
          await file.close()
        }
      }),
    'fs.write': ({ fs, path, data, append }) =>
      at(fs, path, async (place) => {
        await (append ? appendFile(place, data) : writeFile(place, data))
        return null
      }),
    'fs.stat': ({ fs, path }) =>
      at(fs, path, async (place) => {
        const found = await stat(place)
        return {
          name: basename(path) || '/',
          sizeBytes: found.size,
          isDirectory: found.isDirectory(),
          modifiedMs: found.mtimeMs,
        }
      }),
    'fs.list': ({ fs, path }) =>
      at(fs, path, async (place) => {
        const items: Dirent[] = await readdir(place, { withFileTypes: true })
        return items
          .map((item) => ({ name: item.name, isDirectory: item.isDirectory() }))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      }),
    'fs.mkdir': ({ fs, path }) =>
      at(fs, path, async (place) => {
        await mkdir(place, { recursive: true })
        return null
      }),
    'fs.remove': ({ fs, path }) =>
      at(
        fs,
        path,
        async (place) => {
          if (place === (await rootOf(fs))) throw new AppError('permission_denied', `the folder of ${fs} itself stays`)
          await ((await lstat(place)).isDirectory() ? rmdir(place) : unlink(place))
          return null
        },
        true,
      ),
  }
}

/** The real path of what exists of `path`, with the rest behind it: the rest cannot be links, for it is not there. */
async function realpathOfExisting(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    // A link to nowhere is there, and would be written through.
    if (await isThere(path)) {
      throw new AppError('permission_denied', `${basename(path)} is a link to what does not exist`, undefined, {
        retryable: false,
      })
    }
    const parent = dirname(path)
    return parent === path ? path : resolve(await realpathOfExisting(parent), basename(path))
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

function failure(fs: string, path: string, error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  const { code } = error as NodeJS.ErrnoException
  const make = (kind: AppError['kind'], why: string): AppError =>
    new AppError(kind, `${fs} ${path}: ${why}`, undefined, { retryable: false, cause: error })
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return make('not_found', 'there is nothing')
    case 'EISDIR':
      return make('invalid', 'it is a folder')
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return make('permission_denied', 'the system does not allow it')
    case 'ENOTEMPTY':
      return make('conflict', 'the folder is not empty')
    case 'EEXIST':
      return make('already_exists', 'it is there already')
    default:
      return make('unavailable', error.message)
  }
}
