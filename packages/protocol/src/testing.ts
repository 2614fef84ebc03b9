export * from './testing/sim-clock.ts'
