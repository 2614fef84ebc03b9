export { openLmdb, type LmdbOptions, type LmdbStore } from './open-lmdb.ts'
export type { KeyValueStore } from './store.ts'
