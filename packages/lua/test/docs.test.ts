import { expect, test } from 'vitest'
import { createLua, type LuaModule } from '../src/index.ts'
import { luaAnnotations, moduleDocs } from '../src/internal.ts'
import { ZoneTable } from '../src/modules/support/zone.ts'

const { modules } = createLua()
const named = modules.map((module) => [module.name, module] as const)

/** The functions of a module, nested tables with their path. */
function functionsOf(module: LuaModule): readonly string[] {
  const spec =
    typeof module.spec === 'function' ? module.spec({ zones: new ZoneTable(), deterministic: false }) : module.spec
  const walk = (table: object, path: string): readonly string[] =>
    Object.entries(table).flatMap(([name, item]) => {
      if (typeof item === 'function') return [`${path}${name}`]
      const isTable = typeof item === 'object' && item !== null && Object.getPrototypeOf(item) === Object.prototype
      return isTable ? walk(item as object, `${path}${name}.`) : []
    })
  return walk(spec, '')
}

test.each(named)('every function of %s is in its docs', (_name, module) => {
  const text = moduleDocs(module)
  expect(functionsOf(module).filter((name) => !text.includes(name.split('.').at(-1)!))).toEqual([])
})

// `npx vitest run packages/lua/test/docs.test.ts -u` writes the files anew.
test.each(named)('docs/lua/%s.md says what the module declares', async (name, module) => {
  await expect(moduleDocs(module)).toMatchFileSnapshot(`../../../docs/lua/${name}.md`)
})

test('docs/lua/daruma.meta.lua has the annotations of every module', async () => {
  await expect(luaAnnotations(modules)).toMatchFileSnapshot('../../../docs/lua/daruma.meta.lua')
})

test('a page says what the module is, where it is, and each signature', () => {
  const page = moduleDocs(modules.find(({ name }) => name === 'base64')!)
  expect(page).toMatch(/^# base64\n/)
  expect(page).toContain('Workflows may use it.')
  expect(page).toContain('- `base64.encode(data) -> text | nil, error`')
})

test('annotations are Lua that defines every documented function, nested tables first', () => {
  const text = luaAnnotations(modules)
  expect(text).toMatch(/^---@meta/)
  expect(text).toContain('function process.send(dest, topic, ...) end')
  expect(text).toContain('function process.unlink(dest) end')
  expect(text.indexOf('process.registry = {}')).toBeLessThan(text.indexOf('function process.registry.register('))
  expect(text).toContain('function logger:info(message, fields) end')
  expect(text).not.toContain('function future')
  const source = `${text}\nreturn function() end`
  expect(() => createLua().define({ id: 'a:b', kind: 'library', source })).not.toThrow()
})
