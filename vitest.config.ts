import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['@daruma/source'] },
  ssr: { resolve: { conditions: ['@daruma/source'] } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
})
