import { base64Module } from './base64.ts'
import { compressModule } from './compress.ts'
import { contractModule } from './contract.ts'
import { cryptoModule } from './crypto.ts'
import { ctxModule } from './ctx.ts'
import { envModule } from './env.ts'
import { errorsModule } from './errors.ts'
import { evalModule } from './eval-runner.ts'
import { eventsModule } from './events.ts'
import { exprModule } from './expr.ts'
import { fsModule } from './fs.ts'
import { funcsModule } from './funcs.ts'
import { hashModule } from './hash.ts'
import { httpModule } from './http.ts'
import { httpClientModule } from './http-client.ts'
import { ioModule } from './io.ts'
import { jsonModule } from './json.ts'
import { loggerModule } from './logger.ts'
import { metricsModule } from './metrics.ts'
import { payloadModule } from './payload.ts'
import { pgModule } from './pg.ts'
import { processModule } from './process.ts'
import { queueModule } from './queue.ts'
import { registryModule } from './registry.ts'
import { securityModule } from './security.ts'
import { storeModule } from './store.ts'
import type { LuaModule } from './support/module.ts'
import { systemModule } from './system.ts'
import { textModule } from './text.ts'
import { timeModule } from './time.ts'
import { uuidModule } from './uuid.ts'
import { workflowModule } from './workflow.ts'
import { yamlModule } from './yaml.ts'

/** Every module that comes with the runtime, in the order of their names. */
export const builtinModules: readonly LuaModule[] = [
  base64Module,
  compressModule,
  contractModule,
  cryptoModule,
  ctxModule,
  envModule,
  errorsModule,
  evalModule,
  eventsModule,
  exprModule,
  fsModule,
  funcsModule,
  hashModule,
  httpModule,
  httpClientModule,
  ioModule,
  jsonModule,
  loggerModule,
  metricsModule,
  payloadModule,
  pgModule,
  processModule,
  queueModule,
  registryModule,
  securityModule,
  storeModule,
  systemModule,
  textModule,
  timeModule,
  uuidModule,
  workflowModule,
  yamlModule,
]
