import type { LuaValue } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { toData } from '../value.ts'
import { isTable, optional, requireName, requireTable, requireText } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { requireEntryId, sendable } from './support/sending.ts'
import { ask } from './requests.ts'

const items = (value: LuaValue): readonly LuaValue[] => (isTable(value) ? value.entries().map(([, item]) => item) : [])

function recordOf(value: LuaValue): Readonly<Record<string, unknown>> {
  if (!isTable(value)) return {}
  const data = toData(value)
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

export const evalModule: LuaModule = {
  name: 'eval_runner',
  summary: 'Runs program text that comes as data, in a state of its own.',
  deterministic: false,
  spec: {
    run: fallible((ctx, [options]) => {
      const session = sessionOf(ctx)
      const table = requireTable(options, 'eval_runner.run: options')
      const method = optional(table.get('method'), requireName, 'eval_runner.run: method')
      const imports = isTable(table.get('imports'))
        ? (table.get('imports') as ReturnType<typeof requireTable>).entries()
        : []
      return ask(session, 'eval.run', {
        source: requireName(table.get('source'), 'eval_runner.run: source'),
        ...(method === undefined ? {} : { method }),
        args: sendable(session, items(table.get('args'))),
        modules: items(table.get('modules')).map((name) => requireText(name, 'eval_runner.run: module')),
        imports: Object.fromEntries(
          imports.map(([alias, id]) => [
            requireText(alias, 'eval_runner.run: alias'),
            requireEntryId(id, 'eval_runner.run: import'),
          ]),
        ),
        context: recordOf(table.get('context')),
      })
    }),
  },
  docs: {
    'eval_runner.run({source, method?, args?, modules?, imports?, context?}) -> result | nil, error':
      'Only the listed modules can be required. The values of context are read with `ctx.get`.',
  },
}
