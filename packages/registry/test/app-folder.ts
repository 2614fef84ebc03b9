import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { onTestFinished } from 'vitest'
import { loadApp, type Entry, type LoadedApp, type LoadOptions, type Problem } from '../src/index.ts'

/** Writes an app into a folder of its own, which is removed when the test ends. */
export function appFolder(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'daruma-app-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return dir
}

export function load(files: Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}) {
  const dir = appFolder(files)
  return { dir, app: loadApp(dir, { env: {}, ...options }) }
}

/** The entries of an app that must be sound. */
export function loaded(
  files: Readonly<Record<string, string>>,
  options: Partial<LoadOptions> = {},
): Extract<LoadedApp, { kind: 'loaded' }> & { byId: Map<string, Entry>; dir: string } {
  const { app, dir } = load(files, options)
  if (app.kind === 'invalid') throw new Error(app.problems.map((problem) => JSON.stringify(problem)).join('\n'))
  return { ...app, dir, byId: new Map(app.entries.map((entry) => [entry.id, entry])) }
}

/** `src/_index.yaml:3 message (hint)`: what tests compare. */
export function told(problems: readonly Problem[], dir: string): string[] {
  return problems.map(({ file, line, message, hint }) => {
    const name = file.startsWith(dir) ? relative(dir, file) || '.' : file
    const text = hint === undefined ? message : `${message} (${hint})`
    return `${name}:${line} ${text.replaceAll(`${dir}/`, '')}`
  })
}

export function problemsOf(files: Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}): string[] {
  const { app, dir } = load(files, options)
  return app.kind === 'invalid' ? told(app.problems, dir) : []
}

/** A file of entries in namespace `app`. */
export const index = (entries: string): string => `version: "1.0"\nnamespace: app\nentries:\n${entries}`
