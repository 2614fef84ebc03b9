import { watch } from 'node:fs'
import { loadApp, formatProblem } from '@daruma/registry'
import type { CancelTimer } from '@daruma/protocol'
import type { App, LoadOptions } from './app.ts'
import type { RunningNode } from './compose.ts'

/** Editors write a file in several steps; a change is looked at when it has been quiet for this long. */
const quietMs = 150

/**
 * Applies changed files of the app while the node runs: new calls meet the new code, what runs goes on with the old.
 * An app that is not valid changes nothing; its problems are logged. Returns how to stop.
 */
export function watchApp(node: RunningNode, app: App, options: LoadOptions): () => void {
  const { registry, logger, clock, lua } = node.parts
  let pending: CancelTimer | undefined
  const reload = (): void => {
    pending = undefined
    const loaded = loadApp(app.folder, {
      env: options.env,
      ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
      modules: lua.modules.map(({ name }) => name),
    })
    if (loaded.kind === 'invalid') {
      for (const problem of loaded.problems) logger.log('error', `not reloaded: ${formatProblem(problem)}`)
      return
    }
    const operations = registry.buildDelta(registry.entries(), loaded.entries)
    if (operations.length === 0) return
    const changes = registry.changes()
    for (const { kind, entry } of operations) {
      if (kind === 'entry.create') changes.create(entry)
      else if (kind === 'entry.update') changes.update(entry)
      else changes.delete(entry.id)
    }
    try {
      const version = changes.apply()
      logger.log('info', `reloaded as version ${version.id}: ${operations.map(({ entry }) => entry.id).join(', ')}`)
    } catch (error) {
      logger.log('error', `not reloaded: ${(error as Error).message}`)
    }
  }
  const watcher = watch(app.folder, { recursive: true }, (_event, file) => {
    if (file === null || file.startsWith('.daruma') || file.includes('node_modules')) return
    pending?.()
    pending = clock.after(quietMs, reload)
  })
  return () => {
    pending?.()
    watcher.close()
  }
}
