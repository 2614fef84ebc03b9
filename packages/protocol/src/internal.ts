// Siblings need nothing that the public does not: the nouns are for everyone.
export * from './index.ts'
