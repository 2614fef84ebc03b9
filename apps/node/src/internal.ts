export * from './index.ts'
export { askNode, controlPath } from './control.ts'
