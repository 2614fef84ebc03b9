import type { HostContext, HostResult, LuaValue } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { HostObject, hostClass, type HostMethod } from '../value.ts'
import { invalid, isString, optional, requireName, requireText } from './support/args.ts'
import { instant } from './support/instant.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { requireEntryId } from './support/sending.ts'
import { ask } from './requests.ts'
import { utcZone } from './support/zone.ts'

interface VolumeState {
  readonly id: string
}

const method =
  (run: (fs: string, ctx: HostContext, args: readonly LuaValue[]) => HostResult): HostMethod<VolumeState> =>
  ({ state }, ctx, args) => {
    try {
      return run(state.id, ctx, args)
    } catch (error) {
      return failWith(error)
    }
  }

/** Paths are within the volume, whether they begin with a slash or not. */
function pathOf(value: LuaValue): string {
  const path = requireName(value, 'fs: path')
  if (path.includes('\0')) throw invalid('fs: path must not contain a zero byte')
  const steps: string[] = []
  for (const step of path.split('/')) {
    if (step === '' || step === '.') continue
    if (step !== '..') steps.push(step)
    else if (steps.pop() === undefined) throw invalid(`fs: "${path}" leaves the volume`)
  }
  return `/${steps.join('/')}`
}

const kind = (isDirectory: boolean): string => (isDirectory ? 'directory' : 'file')

const write = method((fs, ctx, [path, data, mode]) => {
  if (!isString(data)) throw invalid('writefile: data must be text')
  const how = optional(mode, requireText, 'writefile: mode') ?? 'w'
  if (how !== 'w' && how !== 'a') throw invalid(`writefile: unknown mode "${how}"; known: w, a`)
  return ask(sessionOf(ctx), 'fs.write', { fs, path: pathOf(path), data, append: how === 'a' }, () => [true])
})

const read = method((fs, ctx, [path]) => ask(sessionOf(ctx), 'fs.read', { fs, path: pathOf(path) }))

/** False when there is nothing at the path; other failures are failures. */
function look(
  ctx: HostContext,
  fs: string,
  path: LuaValue,
  isIt: (found: { isDirectory: boolean }) => boolean,
): HostResult {
  const session = sessionOf(ctx)
  const input = { fs, path: pathOf(path) }
  return session.askOutcome({ kind: 'request', handler: 'fs.stat', input }, (completion) => {
    if ('value' in completion) return [isIt(completion.value as { isDirectory: boolean })]
    return completion.error.kind === 'not_found' ? [false] : session.failed(completion.error)
  })
}

const volumeClass = hostClass<VolumeState>({
  name: 'fs',
  methods: {
    readfile: read,
    read_file: read,
    writefile: write,
    write_file: write,
    exists: method((fs, ctx, [path]) => look(ctx, fs, path, () => true)),
    isdir: method((fs, ctx, [path]) => look(ctx, fs, path, ({ isDirectory }) => isDirectory)),
    stat: method((fs, ctx, [path]) =>
      ask(sessionOf(ctx), 'fs.stat', { fs, path: pathOf(path) }, ({ name, sizeBytes, isDirectory, modifiedMs }) => [
        {
          name,
          size: sizeBytes,
          is_dir: isDirectory,
          type: kind(isDirectory),
          modified: instant(BigInt(Math.floor(modifiedMs)) * 1_000_000n, utcZone),
        },
      ]),
    ),
    mkdir: method((fs, ctx, [path]) => ask(sessionOf(ctx), 'fs.mkdir', { fs, path: pathOf(path) }, () => [true])),
    remove: method((fs, ctx, [path]) => ask(sessionOf(ctx), 'fs.remove', { fs, path: pathOf(path) }, () => [true])),
    readdir: method((fs, ctx, [path]) =>
      ask(sessionOf(ctx), 'fs.list', { fs, path: pathOf(path) }, (items) => {
        let at = 0
        return [
          (): HostResult => {
            const item = items[at++]
            return [item === undefined ? undefined : { name: item.name, type: kind(item.isDirectory) }]
          },
        ]
      }),
    ),
  },
  tostring: ({ state }) => `fs(${state.id})`,
})

export const fsModule: LuaModule = {
  name: 'fs',
  summary: 'Files below a named directory of the app.',
  deterministic: false,
  spec: {
    get: fallible((ctx, [id]) => {
      const fs = requireEntryId(id, 'fs.get: id')
      return ask(sessionOf(ctx), 'fs.open', { fs }, () => [new HostObject(volumeClass, { id: fs })])
    }),
    type: { FILE: 'file', DIR: 'directory' },
  },
  docs: {
    'fs.get(id) -> volume | nil, error': 'A directory entry. Paths cannot leave it.',
    'volume:readfile(path) -> bytes | nil, error': '',
    'volume:writefile(path, data, "w" | "a"?) -> true | nil, error': '',
    'volume:exists(path), isdir(path) -> boolean | nil, error': '',
    'volume:stat(path) -> {name, size, modified, is_dir, type} | nil, error': '',
    'volume:mkdir(path), remove(path) -> true | nil, error': '',
    'volume:readdir(path) -> iterator of {name, type} | nil, error': '',
  },
}
