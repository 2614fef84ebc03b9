import { AppError } from '@daruma/protocol'
import type { MetricRecord } from '@daruma/lua'
import type { RequestHandlers } from './table.ts'

const bucketBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
const maxSeries = 10_000

type Type = 'counter' | 'gauge' | 'histogram'

interface Series {
  readonly labels: string
  value: number
  /** Histograms: how many values were seen, and how many of them up to each bound. */
  count: number
  readonly buckets: number[]
}

/** What programs count, in memory. `text` is the Prometheus exposition format, for whoever shows it. */
export class Metrics {
  readonly #families = new Map<string, { readonly type: Type; readonly series: Map<string, Series> }>()
  #size = 0

  /** @throws AppError invalid - a name or number that cannot be kept; conflict - the name is another type's; rate_limited - over 10_000 series */
  record({ kind, name, value, labels }: MetricRecord): void {
    if (!/^[a-zA-Z_:][\w:.-]*$/.test(name)) throw new AppError('invalid', `"${name}" is no name of a metric`)
    if (!Number.isFinite(value)) throw new AppError('invalid', `${name}: ${value} cannot be counted`)
    if (kind === 'counter' && value < 0) throw new AppError('invalid', `${name}: a counter only grows, not by ${value}`)
    const series = this.#series(name, kind === 'counter' || kind === 'histogram' ? kind : 'gauge', labels)
    if (kind === 'gauge_set') series.value = value
    else series.value += value
    if (kind !== 'histogram') return
    series.count++
    for (const [at, bound] of bucketBounds.entries()) if (value <= bound) series.buckets[at]! += 1
  }

  text(): string {
    return [...this.#families]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([written, { type, series }]) => {
        const name = written.replace(/[.-]/g, '_')
        return [`# TYPE ${name} ${type}\n`, ...[...series.values()].map((each) => lines(name, type, each))]
      })
      .join('')
  }

  #series(name: string, type: Type, labels: MetricRecord['labels']): Series {
    const family = this.#families.get(name) ?? { type, series: new Map<string, Series>() }
    if (family.type !== type) {
      throw new AppError('conflict', `${name} is a ${family.type}, used as a ${type}`, undefined, { retryable: false })
    }
    const key = labelText(labels)
    const known = family.series.get(key)
    if (known !== undefined) return known
    if (this.#size >= maxSeries) {
      throw new AppError('rate_limited', `there are ${maxSeries} series already; use fewer values for labels`)
    }
    this.#size++
    this.#families.set(name, family)
    const series: Series = { labels: key, value: 0, count: 0, buckets: bucketBounds.map(() => 0) }
    family.series.set(key, series)
    return series
  }
}

export function metricsRequests(metrics: Metrics): RequestHandlers {
  return {
    'metrics.record': (record) => {
      metrics.record(record)
      return null
    },
  }
}

function lines(name: string, type: Type, { labels, value, count, buckets }: Series): string {
  if (type !== 'histogram') return `${name}${braced(labels)} ${value}\n`
  const bounded = bucketBounds.map((bound, at) => `${name}_bucket${braced(labels, `le="${bound}"`)} ${buckets[at]}\n`)
  const rest = `${name}_bucket${braced(labels, 'le="+Inf"')} ${count}\n`
  return `${bounded.join('')}${rest}${name}_sum${braced(labels)} ${value}\n${name}_count${braced(labels)} ${count}\n`
}

const braced = (...parts: readonly string[]): string => {
  const all = parts.filter((part) => part !== '').join(',')
  return all === '' ? '' : `{${all}}`
}

function labelText(labels: MetricRecord['labels']): string {
  return Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name.replace(/\W/g, '_')}="${value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`)
    .join(',')
}
