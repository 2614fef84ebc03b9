import { AppError } from '@daruma/protocol'
import { missingModule } from './definition.ts'
import type { HostFunction } from './engine.ts'
import { requireText } from './modules/support/args.ts'
import { sessionOf } from './session.ts'

/** Names under which a global of the standard library can be required too. */
const otherNames: Readonly<Record<string, string>> = { ostime: 'os' }

/**
 * `require(name)`: an import or a declared module of the entry whose code asks; the globals that everybody has.
 * Who asks is told by the innermost Lua frame, so that a library has its own names.
 */
export const requireFunction: HostFunction = (ctx, [wanted]) => {
  const name = requireText(wanted, 'require: name')
  const { program, catalog, loaded } = sessionOf(ctx)
  const source = ctx.frames().find(({ line }) => line > 0)?.source
  const asker = (source === undefined ? undefined : program.byUnit.get(source)) ?? program.entry
  const imported = asker.imports.get(name)
  if (imported !== undefined) return [loaded.get(imported.unit.name)]
  if (catalog.globals.has(name)) return [ctx.proc.global(otherNames[name] ?? name)]
  const module = catalog.declarable.get(name)
  if (module !== undefined && asker.modules.has(name)) return [module.library]
  throw new AppError('not_found', missingModule(name, asker.definition.id, catalog), undefined, { retryable: false })
}
