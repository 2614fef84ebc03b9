import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { nodeMachine } from '../src/lifecycle.ts'
import { serviceMachine } from '../src/service-lifecycle.ts'
import { chartOf, withCharts } from '../src/services/chart.ts'

const doc = fileURLToPath(new URL('../../../docs/service-lifecycle.md', import.meta.url))

test('the charts in docs/service-lifecycle.md are those of the machines; -u prints them anew', async () => {
  const text = withCharts(await readFile(doc, 'utf8'), { service: serviceMachine, node: nodeMachine })
  await expect(text).toMatchFileSnapshot(doc)
})

test('a chart has every transition once, groups before arrows, and ends at its final states', () => {
  expect(chartOf(nodeMachine).split('\n')).toEqual([
    'stateDiagram-v2',
    '  [*] --> booting',
    '  booting --> draining: booted [isStopAsked]',
    '  booting --> starting: booted',
    '  booting --> stopped: failed, force',
    '  booting --> booting: stop',
    '  starting --> ready: started',
    '  starting --> draining: failed, stop',
    '  ready --> draining: failed, stop',
    '  draining --> stopped: drained, drain_failed, drain_timeout',
    '  draining --> draining: failed, force',
    '  stopped --> [*]',
  ])
})

test('what is no chart is left as it is', () => {
  const text = 'before\n<!-- chart: other -->\nold\n<!-- /chart -->\nafter'
  expect(withCharts(text, { node: nodeMachine })).toBe(text)
})
