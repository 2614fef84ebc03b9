export { boot, loadWholeApp, type App, type BootOptions, type LoadOptions, type RunningNode } from './compose.ts'
export { main } from './cli.ts'
