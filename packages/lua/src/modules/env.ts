import { sessionOf } from '../session.ts'
import { requireName, requireText } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask } from './requests.ts'

export const envModule: LuaModule = {
  name: 'env',
  summary: 'Variables that the app lets its programs see.',
  deterministic: false,
  spec: {
    get: fallible((ctx, [key]) => ask(sessionOf(ctx), 'env.get', { key: requireName(key, 'env.get: key') })),
    set: fallible((ctx, [key, value]) => {
      const input = { key: requireName(key, 'env.set: key'), value: requireText(value, 'env.set: value') }
      return ask(sessionOf(ctx), 'env.set', input, () => [true])
    }),
    get_all: fallible((ctx) => ask(sessionOf(ctx), 'env.all', null)),
  },
  docs: {
    'env.get(key) -> text | nil, error': 'Invalid for an empty key, NotFound for a missing one.',
    'env.set(key, value) -> true | nil, error': '',
    'env.get_all() -> table | nil, error': '',
  },
}
