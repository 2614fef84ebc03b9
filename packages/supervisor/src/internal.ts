// For siblings that host supervised processes of their own: what decides, apart from what performs.
export * from './index.ts'
export { decideDynamic, createDynamicState, type DynamicEffect, type DynamicEvent } from './dynamic-strategy.ts'
export type { Effect, Event } from './effects.ts'
export { decide } from './strategy.ts'
export { createState, type Child, type SupervisorState } from './table.ts'
