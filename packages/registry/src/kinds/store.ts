import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle, type Lifecycle } from '../lifecycle.ts'
import { count, defined, duration, kind, open, ref, text } from '../schema.ts'
import { callableKinds } from './code.ts'

/** Key-value stores, queues and their consumers, directories. */

export interface StoreMemory {
  /** A full store refuses new keys. */
  readonly maxSize: number
  /** How often expired keys are removed; 0: never. They are unreadable at once either way. */
  readonly cleanupIntervalMs: number
  readonly lifecycle: Lifecycle
}

export interface StoreKv {
  /** Keys of one namespace are apart from all others. Default: the entry's id. */
  readonly namespace?: string
  readonly lifecycle: Lifecycle
}

export interface QueueDriver {
  /** Durable drivers only: the client entry whose connection is used. */
  readonly client?: EntryId
  readonly lifecycle: Lifecycle
}

export interface Queue {
  readonly driver: EntryId
  readonly codec: string
  /** Name in the driver. Default: the entry's name. */
  readonly queueName?: string
  /** Settings by name of driver. */
  readonly driverOptions: Readonly<Record<string, unknown>>
  readonly deadLetter?: { readonly queue: EntryId; readonly maxAttempts: number }
}

export interface QueueConsumer {
  readonly queue: EntryId
  readonly func: EntryId
  readonly concurrency: number
  readonly prefetch: number
  readonly autoAck: boolean
  readonly lifecycle: Lifecycle
}

export interface FsDirectory {
  readonly directory: string
  /** Made when it is missing. */
  readonly autoInit: boolean
  readonly mode?: string
  readonly lifecycle: Lifecycle
}

export const storeKinds = ['store.*'] as const

export const storeMemory = kind({
  data: v.object({
    max_size: v.optional(count(), 10_000),
    cleanup_interval: v.optional(duration(), '5m'),
    lifecycle,
  }),
  view: ({ max_size, cleanup_interval, lifecycle }): StoreMemory => ({
    maxSize: max_size === 0 ? 10_000 : max_size,
    cleanupIntervalMs: cleanup_interval,
    lifecycle,
  }),
})

export const storeKv = kind({
  data: v.object({
    namespace: v.optional(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9._-]*$/, 'expected a name like "orders"'))),
    durable: v.optional(v.boolean()),
    lifecycle,
  }),
  view: ({ namespace, lifecycle }): StoreKv => ({ lifecycle, ...defined({ namespace }) }),
})

export const queueDriverMemory = kind({
  data: v.object({ lifecycle }),
  view: ({ lifecycle }): QueueDriver => ({ lifecycle }),
})

export const queueDriverJetstream = kind({
  data: v.object({ client: ref(['nats.client', 'temporal.client']), lifecycle }),
  view: ({ client, lifecycle }): QueueDriver => ({ client, lifecycle }),
})

export const queueQueue = kind({
  data: v.object({
    driver: ref(['queue.driver.*']),
    codec: v.optional(v.picklist(['json/plain', 'application/msgpack']), 'json/plain'),
    queue_name: v.optional(text()),
    driver_options: v.optional(open(), {}),
    dead_letter: v.optional(
      v.object({ queue: ref(['queue.queue'], { order: false }), max_attempts: v.optional(count(1), 5) }),
    ),
    lifecycle,
  }),
  view: ({ driver, codec, queue_name, driver_options, dead_letter }): Queue => ({
    driver,
    codec,
    driverOptions: driver_options,
    ...defined({
      queueName: queue_name,
      deadLetter: dead_letter && { queue: dead_letter.queue, maxAttempts: dead_letter.max_attempts },
    }),
  }),
})

export const queueConsumer = kind({
  data: v.object({
    queue: ref(['queue.queue']),
    func: ref(callableKinds),
    concurrency: v.optional(count(1), 1),
    prefetch: v.optional(count(1), 10),
    auto_ack: v.optional(v.boolean(), false),
    driver_options: v.optional(open(), {}),
    lifecycle,
  }),
  view: ({ queue, func, concurrency, prefetch, auto_ack, lifecycle }): QueueConsumer => ({
    queue,
    func,
    concurrency,
    prefetch,
    autoAck: auto_ack,
    lifecycle,
  }),
})

export const fsDirectory = kind({
  data: v.object({
    directory: text(),
    auto_init: v.optional(v.boolean(), false),
    mode: v.optional(v.pipe(v.string(), v.regex(/^0?[0-7]{3}$/, 'expected permissions like "0755"'))),
    lifecycle,
  }),
  view: ({ directory, auto_init, mode, lifecycle }): FsDirectory => ({
    directory,
    autoInit: auto_init,
    lifecycle,
    ...defined({ mode }),
  }),
})
