import { AppError, isAppError } from '@daruma/protocol'
import type { HostResult, LuaValue } from '../engine.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import { isTable, requireText } from './support/args.ts'
import { parseExpression, type Expression } from './support/expression.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'

/** Whatever is wrong with an expression is of kind internal, but for an empty one. */
function attempt(run: () => HostResult): HostResult {
  try {
    return run()
  } catch (error) {
    if (isAppError(error) || !(error instanceof Error)) return failWith(error)
    return failWith(new AppError('internal', `expr: ${error.message}`, undefined, { retryable: false }))
  }
}

function environment(value: LuaValue): Readonly<Record<string, unknown>> {
  if (!isTable(value)) return {}
  const data = toData(value)
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

const programClass = hostClass<Expression>({
  name: 'expr.program',
  methods: { run: ({ state }, _ctx, [env]) => attempt(() => [state.run(environment(env))]) },
})

export const exprModule: LuaModule = {
  name: 'expr',
  summary: 'Expressions over data: rules and filters without a program.',
  deterministic: true,
  spec: {
    eval: fallible((_ctx, [source, env]) =>
      attempt(() => [parseExpression(requireText(source, 'expr.eval: expression')).run(environment(env))]),
    ),
    compile: fallible((_ctx, [source]) =>
      attempt(() => [new HostObject(programClass, parseExpression(requireText(source, 'expr.compile: expression')))]),
    ),
  },
  docs: {
    'expr.eval(expression, env?) -> value | nil, error':
      'Operators `+ - * / % ** == != < > <= >= && || ! ?? ?: in contains startsWith endsWith matches ..`, lists, maps, `|`, and functions such as len, max, sum, filter, map, any.',
    'expr.compile(expression) -> program | nil, error': '`program:run(env?)`.',
  },
}
