/**
 * waiting: nothing to do; runnable: in the run queue; running: its code is on the stack; parked: its code awaits a
 * promise; ending: its `terminate` awaits; exited: gone.
 */
export type ProcessStatus = 'waiting' | 'runnable' | 'running' | 'parked' | 'ending' | 'exited'

// Small integers, because a process changes its status three times per message.
export const WAITING = 0
export const RUNNABLE = 1
export const RUNNING = 2
export const PARKED = 3
export const ENDING = 4
export const EXITED = 5

export type StatusCode =
  typeof WAITING | typeof RUNNABLE | typeof RUNNING | typeof PARKED | typeof ENDING | typeof EXITED

export const statusNames: Readonly<Record<StatusCode, ProcessStatus>> = [
  'waiting',
  'runnable',
  'running',
  'parked',
  'ending',
  'exited',
]

// What makes a process irregular, as bits of one number: a regular one, which is zero, is asked once per message.
/** `init` has not answered. */
export const UNBORN = 1
/** It runs straight-line code; its `state` is a `BodyRun`. */
export const STRAIGHT = 2
export const SUSPENDED = 4
/** `handleContinue` is due before the next message. */
export const RESUMING = 8
/** An idle time is armed. */
export const IDLING = 16
/** Its mailbox has a limit. */
export const BOUNDED = 32
/** It hibernates by itself after a time without messages. */
export const DROWSY = 64
/** That time is running. */
export const DOZING = 128
/** That time is over: it hibernates in its next turn, unless a message comes first. */
export const DROOPING = 256
/** Its state is what `hibernate` kept; `wake` comes before its next message. */
export const HIBERNATING = 512
