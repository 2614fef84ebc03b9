export { openNats, type NatsOptions, type NatsServerInfo, type NatsStore } from './open-nats.ts'
export type { NatsConnectionOptions } from './connection.ts'
export { openNatsTransport, type NatsTransport, type NatsTransportOptions, type TransportCounts } from './transport.ts'
export type { MembershipTiming } from './membership.ts'
