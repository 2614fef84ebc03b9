export { choicesOf, everyInterleaving, type Interleavings } from './testing/interleavings.ts'
export { StepScheduler } from './testing/step-scheduler.ts'
export { TestSystem, type LogRecord, type Probe, type TestSystemOptions } from './testing/test-system.ts'
