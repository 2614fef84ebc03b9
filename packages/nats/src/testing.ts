export { bareAppendsPerSecond } from './testing/bare-appends.ts'
export { startNatsCluster, type NatsCluster } from './testing/cluster.ts'
export { findNatsServer, freePort, startNatsServer, type NatsServer, type NatsServerOptions } from './testing/server.ts'
export { startLossyProxy, type LossyProxy } from './testing/lossy-proxy.ts'
