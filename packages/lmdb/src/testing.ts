export { bareAppendsPerSecond } from './testing/bare-appends.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A fresh empty folder, and how to remove it with all that is in it. */
export function temporaryFolder(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-lmdb-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
