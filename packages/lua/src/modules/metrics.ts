import type { HostFunction, LuaValue } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { isTable, requireName, requireNumber, scalarText } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask, type MetricRecord } from './requests.ts'

const labelsOf = (table: LuaValue): Record<string, string> =>
  isTable(table)
    ? Object.fromEntries(
        table.entries().map(([key, value]) => [scalarText(key, 'metrics: label'), scalarText(value, 'metrics: label')]),
      )
    : {}

/** With a value of the caller's, or a fixed one. */
const record = (kind: MetricRecord['kind'], fixed?: number): HostFunction =>
  fallible((ctx, [name, ...rest]) => {
    const [value, labels] = fixed === undefined ? rest : [fixed, rest[0]]
    const input = {
      kind,
      name: requireName(name, 'metrics: name'),
      value: requireNumber(value, 'metrics: value'),
      labels: labelsOf(labels),
    }
    return ask(sessionOf(ctx), 'metrics.record', input, () => [true])
  })

export const metricsModule: LuaModule = {
  name: 'metrics',
  summary: 'Counters, gauges and histograms.',
  deterministic: false,
  spec: {
    counter_inc: record('counter', 1),
    counter_add: record('counter'),
    gauge_set: record('gauge_set'),
    gauge_inc: record('gauge_add', 1),
    gauge_dec: record('gauge_add', -1),
    histogram: record('histogram'),
  },
  docs: {
    'metrics.counter_inc(name, labels?), counter_add(name, value, labels?) -> true | nil, error': '',
    'metrics.gauge_set(name, value, labels?), gauge_inc(name, labels?), gauge_dec(name, labels?) -> true | nil, error':
      '',
    'metrics.histogram(name, value, labels?) -> true | nil, error': '',
  },
}
