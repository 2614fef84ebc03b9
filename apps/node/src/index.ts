export { loadWholeApp, type App, type LoadOptions } from './app.ts'
export { main } from './cli.ts'
export { boot, composeNode, type BootOptions, type RunningNode } from './compose.ts'
