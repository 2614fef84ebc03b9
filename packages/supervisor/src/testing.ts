export { runRestartGrid, restartGrid, type GridRow } from './testing/restart-grid.ts'
export { unstable, type StartAct, type StopAct, type Unstable, type UnstableMessage } from './testing/unstable.ts'
export { formatTree, supervisionTree } from './tree.ts'
