import type { Limits } from './engine.ts'

/**
 * - sliceInstructions: fairness between processes; 1 to 5 ms of work once the code is warm.
 * - totalInstructions: no limit unless the host sets one.
 * - memoryBytes: an estimate (see Meter), enough to stop a bomb well before the JavaScript heap does.
 */
export const defaultLimits: Limits = {
  sliceInstructions: 50_000,
  totalInstructions: Number.POSITIVE_INFINITY,
  memoryBytes: 128 * 1024 * 1024,
  stringBytes: 16 * 1024 * 1024,
  patternSteps: 1_000_000,
  coroutines: 10_000,
}
