export { openNats, type NatsOptions, type NatsServerInfo, type NatsStore } from './open-nats.ts'
export type { NatsConnectionOptions } from './connection.ts'
