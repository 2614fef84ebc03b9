export { Environment, formatVersion } from './environment.ts'
export { isAlive, thisProcess, type Holder } from './holder.ts'
