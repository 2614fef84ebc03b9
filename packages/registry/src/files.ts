import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { configFiles } from './config.ts'
import { nearNames } from './near.ts'
import type { Problem } from './problem.ts'

const entryExtensions = new Set(['.yaml', '.yml', '.json'])
const skippedFolders = new Set(['node_modules'])

/**
 * Every file under `root` that may hold entries, in an order that is the same on every machine. Folders that are named
 * node_modules or start with a dot are skipped; links are followed, each real folder once.
 */
export function findEntryFiles(root: string, problems: Problem[]): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const visit = (folder: string): void => {
    try {
      const real = realpathSync(folder)
      if (seen.has(real)) return
      seen.add(real)
      for (const name of readdirSync(folder).toSorted()) {
        const path = join(folder, name)
        const stat = statSync(path, { throwIfNoEntry: false })
        if (stat?.isDirectory() === true) {
          if (!skippedFolders.has(name) && !name.startsWith('.')) visit(path)
        } else if (stat?.isFile() === true && entryExtensions.has(extname(name)) && !isConfigFile(name)) {
          found.push(path)
        }
      }
    } catch (error) {
      problems.push({ file: folder, line: 0, message: `cannot be read: ${(error as Error).message}` })
    }
  }
  visit(root)
  return found
}

const isConfigFile = (name: string): boolean => (configFiles as readonly string[]).includes(name)

export type ReadText =
  | { readonly kind: 'text'; readonly text: string; readonly file: string }
  | { readonly kind: 'failed'; readonly message: string; readonly hint?: string }

/**
 * The text behind `file://reference` in the YAML file `from`. Files outside of `root` are refused: an app carries all
 * that it reads.
 */
export function readReferenced(reference: string, from: string, root: string): ReadText {
  const file = isAbsolute(reference) ? reference : join(dirname(from), reference)
  const inRoot = relative(resolve(root), resolve(file))
  if (inRoot === '..' || inRoot.startsWith(`..${sep}`) || isAbsolute(inRoot)) {
    return { kind: 'failed', message: `file://${reference} lies outside of the app`, hint: `the app is ${root}` }
  }
  try {
    return { kind: 'text', text: readFileSync(file, 'utf8'), file }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      return { kind: 'failed', message: `file://${reference} cannot be read: ${(error as Error).message}` }
    }
    const folder = dirname(file)
    if (!existsSync(folder)) return { kind: 'failed', message: `no file ${file}`, hint: `there is no folder ${folder}` }
    const near = nearNames(relative(folder, file), readdirSync(folder))
    return {
      kind: 'failed',
      message: `no file ${file}`,
      ...(near.length === 0 ? {} : { hint: `did you mean ${near.join(' or ')}?` }),
    }
  }
}
