export * from './index.ts'
export { decodeCommit, decodeEvent, encodeCommit, type Commit, type Entry } from './commit.ts'
export { journalVersion } from './events.ts'
