import { TestSystem } from '@daruma/actors/testing'
import { describe, expect, test } from 'vitest'
import { restartGrid, runRestartGrid } from '../src/testing.ts'

describe('rules 50, 54: who is restarted', () => {
  test.each(restartGrid)('$title', async (row) => {
    await using system = new TestSystem()
    const { restarted, table } = row
    expect(await runRestartGrid(system, row)).toEqual({ restarted, table })
  })
})
