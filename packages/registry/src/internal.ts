// Siblings need nothing that the public does not.
export * from './index.ts'
