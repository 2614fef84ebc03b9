export { WorkflowLab, type Execution, type LabOptions } from './testing/lab.ts'
export { crashAtEveryStep, type CrashKind, type CrashReport } from './testing/crash-at-every-step.ts'
