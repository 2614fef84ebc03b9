import type { Programs } from '../programs.ts'
import type { RequestHandlers } from '../requests/table.ts'
import type { FunctionHost } from './function-host.ts'

/** Program text that came as data: each run is a call of its own, which can require what it was given and no more. */
export function evaluationRequests(programs: Programs, functions: FunctionHost): RequestHandlers {
  return {
    'eval.run': ({ source, method, args, modules, imports, context }, scope) => {
      const create = programs.adHoc({ id: scope.entry, source, method, modules, imports })
      const call = { context: { ...scope.context, ...context }, signal: scope.signal }
      return functions.run(scope.entry, create, args, call)
    },
  }
}
