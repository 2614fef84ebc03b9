import { AppError, parseDurationMs, type Durability } from '@daruma/protocol'
import type { NatsOptions } from '@daruma/nats'
import type { AppConfig, Problem } from '@daruma/registry'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'

/** What a node is told beyond its entries: sections of daruma.yaml, over them the command line. */
export interface NodeConfig {
  readonly name: string
  /** Absolute. */
  readonly dataFolder: string
  /** Given on the command line or in the section `nats`: every client that names no server of its own uses it. */
  readonly nats: NatsOptions | undefined
  /** Nodes of the same cluster on the same NATS form one system. Undefined: this node is alone. */
  readonly cluster: string | undefined
  /** How many times as fast as the wall clock the time of workflows runs. 1 in production. */
  readonly timeScale: number
  readonly partitions: number | undefined
  /** How long an ended workflow can be listed, shown and joined. Undefined: 7 days. */
  readonly retentionMs: number | undefined
  /** How long a partition of a node that fell silent stays its own. Undefined: the engine's default. */
  readonly leaseMs: number | undefined
  readonly shutdownMs: number
  readonly logLevel: LevelName
}

export type LevelName = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const duration = v.pipe(
  v.union([v.string(), v.number()]),
  v.check((value) => {
    try {
      return parseDurationMs(value) >= 0
    } catch {
      return false
    }
  }, 'expected a duration such as "30s"'),
  v.transform((value) => parseDurationMs(value)),
)

const schema = v.object({
  node: v.optional(
    v.object({
      name: v.optional(v.string()),
      data: v.optional(v.string()),
      shutdown_timeout: v.optional(duration, '30s'),
    }),
    {},
  ),
  workflow: v.optional(
    v.object({
      time_scale: v.optional(v.pipe(v.number('expected a number such as 3600'), v.minValue(1, 'expected at least 1'))),
      partitions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_024))),
      retention: v.optional(duration),
      lease: v.optional(duration),
    }),
    {},
  ),
  nats: v.optional(
    v.object({
      servers: v.union([v.string(), v.array(v.string())]),
      prefix: v.optional(v.string()),
      durability: v.optional(v.picklist(['process', 'disk', 'replica'])),
      monitor_urls: v.optional(v.array(v.string())),
      user: v.optional(v.string()),
      pass: v.optional(v.string()),
      token: v.optional(v.string()),
      nkey_seed: v.optional(v.string()),
      creds_file: v.optional(v.string()),
      tls: v.optional(
        v.object({
          ca_file: v.optional(v.string()),
          cert_file: v.optional(v.string()),
          key_file: v.optional(v.string()),
        }),
      ),
    }),
  ),
  cluster: v.optional(
    v.object({ name: v.pipe(v.string(), v.regex(/^[^\s]{1,100}$/, 'expected 1 to 100 characters without blanks')) }),
  ),
  logger: v.optional(v.object({ level: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent'])) }), {}),
})

export interface ConfigFlags {
  readonly nats?: string
  readonly cluster?: string
  readonly node?: string
  readonly logLevel?: string
  readonly dataFolder?: string
}

/** All problems of the configuration at once, each with its place. */
export function readConfig(
  folder: string,
  config: AppConfig,
  flags: ConfigFlags,
): { config: NodeConfig } | { problems: Problem[] } {
  const known = Object.fromEntries(Object.entries(config.values).filter(([section]) => section in schema.entries))
  const parsed = v.safeParse(schema, known)
  if (!parsed.success) {
    return {
      problems: parsed.issues.map((issue) => {
        const path = (issue.path ?? []).map(({ key }) => String(key))
        return { ...config.locate(path), message: `${path.join('.')}: ${issue.message}` }
      }),
    }
  }
  const { node, workflow, nats, cluster, logger } = parsed.output
  const written: NatsOptions | undefined = nats && {
    servers: nats.servers,
    ...given({
      prefix: nats.prefix,
      durability: nats.durability as Durability | undefined,
      monitorUrls: nats.monitor_urls,
      user: nats.user,
      password: nats.pass,
      token: nats.token,
      nkeySeed: nats.nkey_seed,
      credsFile: nats.creds_file,
      tls: nats.tls && given({ caFile: nats.tls.ca_file, certFile: nats.tls.cert_file, keyFile: nats.tls.key_file }),
    }),
  }
  const name = flags.node ?? node.name ?? hostname()
  const clusterName = flags.cluster ?? cluster?.name
  const servers: NatsOptions | undefined = flags.nats === undefined ? written : { ...written, servers: flags.nats }
  if (clusterName !== undefined && servers === undefined) {
    const message = `cluster "${clusterName}": nodes meet over NATS; give --nats <url>, or a section nats in daruma.yaml`
    return { problems: [{ ...config.locate(['cluster', 'name']), message }] }
  }
  // Nodes that run the same folder on one machine must not share what has one owner.
  const ownData = clusterName === undefined ? '.daruma' : join('.daruma', name)
  return {
    config: {
      name,
      dataFolder: flags.dataFolder ?? join(folder, node.data ?? ownData),
      nats: servers,
      cluster: clusterName,
      timeScale: workflow.time_scale ?? 1,
      partitions: workflow.partitions,
      retentionMs: workflow.retention,
      leaseMs: workflow.lease,
      shutdownMs: node.shutdown_timeout,
      logLevel: levelOf(flags.logLevel) ?? logger.level ?? 'info',
    },
  }
}

function levelOf(name: string | undefined): LevelName | undefined {
  if (name === undefined) return undefined
  const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const
  const level = levels.find((each) => each === name)
  if (level === undefined) throw new AppError('invalid', `unknown log level "${name}"; one of ${levels.join(', ')}`)
  return level
}

function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}
