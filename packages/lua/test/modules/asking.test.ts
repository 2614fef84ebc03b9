import { AppError, Tagged, type ErrorKind } from '@daruma/protocol'
import { expect, test } from 'vitest'
import { message, peer, returns } from '../../src/testing.ts'
import { returned, run } from './returned.ts'

const refuse = (kind: ErrorKind) => (): never => {
  throw new AppError(kind, `refused: ${kind}`)
}

/* ------------------------------------------------------------------------------------------------ ctx */

test('ctx gives the values that came along; keys of the host are hidden', () => {
  const body = `
    local _, empty = ctx.get("")
    local _, missing = ctx.get("nope")
    local _, hidden = ctx.get("@actor")
    return {ctx.get("a").x, ctx.all(), empty:kind(), missing:kind(), missing:retryable(), hidden:kind()}`
  const context = { a: { x: 1 }, b: 2, '@actor': { id: 'u' } }
  expect(returned(body, [], { context })).toEqual([1, { a: { x: 1 }, b: 2 }, 'Invalid', 'NotFound', false, 'NotFound'])
})

test('an activity knows its key and attempt, and reports heartbeats; other programs do not', () => {
  const context = { '@activity': { idempotencyKey: 'w/r/3', attempt: 2, workflowId: 'w', heartbeat: { at: 5 } } }
  const body =
    'local a = ctx.activity() return {a.idempotency_key, a.attempt, a.workflow_id, a.heartbeat.at, ctx.heartbeat({at = 6})}'
  const { commands, step } = run(body, [], { context, answers: { 'activity.heartbeat': () => null } })
  expect(step).toEqual({ kind: 'returned', value: ['w/r/3', 2, 'w', 5, true] })
  expect(commands).toEqual([{ kind: 'request', handler: 'activity.heartbeat', input: { details: { at: 6 } } }])
  expect(returned('return {ctx.activity() == nil, (select(2, ctx.heartbeat())):kind()}')).toEqual([true, 'Invalid'])
})

test('eval_runner hands program text to the host', () => {
  const { commands, step } = run(
    'return eval_runner.run{source = "return 1", method = "m", args = {1, {2}}, modules = {"json"}, imports = {u = "app:u"}, context = {a = 1}}',
    [returns(42)],
  )
  expect(step).toEqual({ kind: 'returned', value: 42 })
  expect(commands).toEqual([
    {
      kind: 'request',
      handler: 'eval.run',
      input: {
        source: 'return 1',
        method: 'm',
        args: [1, [2]],
        modules: ['json'],
        imports: { u: 'app:u' },
        context: { a: 1 },
      },
    },
  ])
})

/* ------------------------------------------------------------------------------------------------ logger */

test('a log record has pid, entry and fields; with and named add to a child only', () => {
  const { host } = run(`
    logger:info("hello", {a = 1, e = errors.new("bad"), f = print})
    local child = logger:with({req = "r"}):named("auth"):named("jwt")
    child:error("no") logger:warn("w") logger:debug("d") logger.info("dot", {b = 2})`)
  expect(host.logs).toMatchObject([
    {
      level: 'info',
      message: 'hello',
      fields: { entry: 'app:main', pid: expect.stringContaining('{'), a: 1, e: 'bad' },
    },
    { level: 'error', message: 'no', fields: { req: 'r', logger: 'auth.jwt' } },
    { level: 'warn', message: 'w' },
    { level: 'debug', message: 'd' },
    { level: 'info', message: 'dot', fields: { b: 2 } },
  ])
  expect(host.logs[2]!.fields).not.toHaveProperty('req')
})

test('an empty logger name is Invalid', () => {
  expect(returned('local l, e = logger:named("") return {l == nil, e:kind()}')).toEqual([true, 'Invalid'])
})

/* ------------------------------------------------------------------------------------------------ workflow */

test('workflow.info tells of the run', () => {
  const workflow = { workflowId: 'w', runId: 'r', attempt: 2, historyLength: 7, historySizeBytes: 99 }
  expect(
    returned('return {workflow.info(), workflow.history_length(), workflow.history_size()}', [], { workflow }),
  ).toEqual([
    {
      workflow_id: 'w',
      run_id: 'r',
      workflow_type: 'app:main',
      task_queue: 'orders',
      namespace: 'default',
      attempt: 2,
      history_length: 7,
      history_size: 99,
    },
    7,
    99,
  ])
})

test('outside of a workflow its module is Invalid', () => {
  expect(returned('local i, e = workflow.info() return {i == nil, e:kind()}')).toEqual([true, 'Invalid'])
})

test('workflow.exec runs a child on the same task queue', () => {
  const { commands, step } = run('return workflow.exec("app:child", 1)', [returns('out')], { workflow: {} })
  expect(commands).toEqual([{ kind: 'exec', target: 'app:child', host: 'orders', args: [1] }])
  expect(step).toEqual({ kind: 'returned', value: 'out' })
})

test('version and attrs are commands', () => {
  const { commands, step } = run(
    'return {workflow.version("c", 1, 3), workflow.attrs({search = {Customer = "x"}, memo = {n = 1}})}',
    [],
    { workflow: {} },
  )
  expect(commands).toEqual([
    { kind: 'version', change: 'c', min: 1, max: 3 },
    { kind: 'attributes', search: { Customer: 'x' }, memo: { n: 1 } },
  ])
  expect(step).toEqual({ kind: 'returned', value: [3, true] })
})

/* ------------------------------------------------------------------------------------------------ io, env */

test('io writes, prints and reads by requests', () => {
  const answers = {
    'io.write': () => null,
    'io.flush': () => null,
    'io.read': ({ input }: { input: { maxBytes: number } }) => 'x'.repeat(Math.min(input.maxBytes, 3)),
    'io.readline': () => 'line',
    'io.args': () => ['a', 'b'],
  }
  const { commands, step } = run(
    `io.write("a", 1, true) io.print("b", nil, setmetatable({}, {__tostring = function() return "T" end})) io.eprint("err") io.flush()
     return {io.read(2), io.readline(), io.args()}`,
    [],
    { answers },
  )
  expect(commands.slice(0, 4)).toEqual([
    { kind: 'request', handler: 'io.write', input: { stream: 'stdout', data: 'a1true' } },
    { kind: 'request', handler: 'io.write', input: { stream: 'stdout', data: 'b\tnil\tT\n' } },
    { kind: 'request', handler: 'io.write', input: { stream: 'stderr', data: 'err\n' } },
    { kind: 'request', handler: 'io.flush', input: null },
  ])
  expect(step).toEqual({ kind: 'returned', value: ['xx', 'line', ['a', 'b']] })
})

test('io waits for an answer that comes later, and is nil and an error without a terminal', () => {
  expect(returned('return io.readline()', [returns('typed')])).toBe('typed')
  expect(
    returned('local v, e = io.write("x") return {v == nil, e:kind()}', [], {
      answers: { 'io.write': refuse('unavailable') },
    }),
  ).toEqual([true, 'Unavailable'])
})

test('env reads and sets variables', () => {
  const answers = { 'env.get': () => 'v', 'env.set': () => null, 'env.all': () => ({ A: '1' }) }
  expect(returned('return {env.get("A"), env.set("A", "2"), env.get_all().A}', [], { answers })).toEqual([
    'v',
    true,
    '1',
  ])
  expect(returned('local v, e = env.get("") return e:kind()')).toBe('Invalid')
  expect(
    returned('local v, e = env.get("X") return e:kind()', [], { answers: { 'env.get': refuse('not_found') } }),
  ).toBe('NotFound')
})

/* ------------------------------------------------------------------------------------------------ store */

test('a store is opened by id; its methods are requests', () => {
  const entry = { key: 'k', value: 1, version: '7' }
  const answers = {
    'store.open': () => null,
    'store.get': () => ({ n: 1 }),
    'store.set': () => null,
    'store.has': () => true,
    'store.delete': () => false,
    'store.entry': () => entry,
    'store.put': () => entry,
    'store.list': () => ({ items: [entry], cursor: 'k', hasMore: true }),
  }
  const { commands, step } = run(
    `local s = store.get("app:cache")
     return {s:set("k", {1, 2}, 30), s:get("k").n, s:has("k"), s:delete("k"), s:entry("k").version,
       s:put("k", 1, {if_version = "6", ttl = 2}).key, s:list({prefix = "p", limit = 5}).has_more, s:release(), (select(2, s:get("k"))):kind()}`,
    [],
    { answers },
  )
  expect(step).toEqual({ kind: 'returned', value: [true, 1, true, false, '7', 'k', true, true, 'Invalid'] })
  expect(commands).toMatchObject([
    { handler: 'store.open', input: { store: 'app:cache' } },
    { handler: 'store.set', input: { store: 'app:cache', key: 'k', value: [1, 2], ttlMs: 30_000 } },
    { handler: 'store.get', input: { store: 'app:cache', key: 'k' } },
    { handler: 'store.has' },
    { handler: 'store.delete' },
    { handler: 'store.entry' },
    { handler: 'store.put', input: { ifVersion: '6', ttlMs: 2_000 } },
    { handler: 'store.list', input: { prefix: 'p', limit: 5 } },
  ])
})

test.each([
  ['store.open', 'store.get("app:x")', 'NotFound', 'not_found'],
  ['store.get', 'store.get("app:c"):get("k")', 'NotFound', 'not_found'],
  ['store.put', 'store.get("app:c"):put("k", 1, {only_if_absent = true})', 'AlreadyExists', 'already_exists'],
  ['store.put', 'store.get("app:c"):put("k", 1, {if_version = "1"})', 'Conflict', 'conflict'],
] as const)('%s refused makes %s %s', (handler, call, luaKind, kind) => {
  const answers = { 'store.open': () => null, [handler]: refuse(kind) }
  expect(returned(`local v, e = ${call} return {v == nil, e:kind()}`, [], { answers })).toEqual([true, luaKind])
})

test.each([
  'store.get("")',
  'store.get("a:c"):set("", 1)',
  'store.get("a:c"):set("k", 1, -1)',
  'store.get("a:c"):set("k", print)',
  'store.get("a:c"):put("k", 1, {only_if_absent = true, if_version = "1"})',
])('%s is Invalid', (call) => {
  expect(
    returned(`local v, e = ${call} return {v == nil, e:kind()}`, [], { answers: { 'store.open': () => null } }),
  ).toEqual([true, 'Invalid'])
})

/* ------------------------------------------------------------------------------------------------ events */

test('a subscription delivers the events that come to its topic, until it is closed', () => {
  const answers = { 'events.subscribe': () => null, 'events.unsubscribe': () => null }
  const { commands, step } = run(
    `local sub = events.subscribe("orders.*", "order.**")
     local ch = sub:channel()
     local e = ch:receive()
     local closed = {sub:close(), sub:close()}
     local _, ok = ch:receive()
     return {e.system, e.kind, e.path, e.data.id, closed, ok}`,
    [message('@events/1', { system: 'orders.eu', kind: 'order.created', path: '/1', data: { id: 1 } })],
    { answers },
  )
  expect(step).toEqual({ kind: 'returned', value: ['orders.eu', 'order.created', '/1', 1, [true, true], false] })
  expect(commands).toEqual([
    {
      kind: 'request',
      handler: 'events.subscribe',
      input: { system: 'orders.*', kind: 'order.**', topic: '@events/1' },
    },
    { kind: 'request', handler: 'events.unsubscribe', input: { topic: '@events/1' } },
  ])
})

test('what nobody received of a closed subscription is dropped, and no successor inherits it', () => {
  const answers = { 'events.subscribe': () => null, 'events.unsubscribe': () => null }
  const { program } = run(
    'local sub = events.subscribe("s") process.inbox():receive() sub:close() process.inbox():receive()',
    [message('@events/1', 1), message('go'), message('@events/1', 2)],
    { answers },
  )
  expect(program.unread!()).toEqual([])
})

test('events.send takes system, kind and path, none of them empty', () => {
  const { commands } = run('events.send("s", "k", "/p", {x = 1}) ', [], { answers: { 'events.send': () => null } })
  expect(commands).toEqual([
    { kind: 'request', handler: 'events.send', input: { system: 's', kind: 'k', path: '/p', data: { x: 1 } } },
  ])
  for (const call of [
    'send("", "k", "/p")',
    'send("s", "", "/p")',
    'send("s", "k", "")',
    'subscribe("")',
    'subscribe("s", "")',
  ]) {
    expect(returned(`local v, e = events.${call} return {v == nil, e:kind()}`)).toEqual([true, 'Invalid'])
  }
})

/* ------------------------------------------------------------------------------------------------ registry */

const entries = [
  {
    id: 'app:a',
    kind: 'function.lua',
    meta: { type: 'test', name: 'alpha', tags: ['x'], command: { name: 'go' } },
    data: { n: 1 },
  },
  { id: 'app:b', kind: 'process.lua', meta: { type: 'tool', name: 'beta' }, data: {} },
  { id: 'other:a', kind: 'function.lua', meta: { type: 'test', name: 'gamma' }, data: {} },
]
const versions = [0, 1, 3].map((id) => ({ id, text: `v${id}` }))
const registryAnswers = {
  'registry.entries': () => entries,
  'registry.get': ({ input }: { input: { id: string } }) =>
    entries.find(({ id }) => id === input.id) ?? refuse('not_found')(),
  'registry.version': () => versions[2],
  'registry.versions': () => versions,
  'registry.apply': () => ({ id: 4, text: 'v4' }),
  'registry.apply_version': () => null,
}

test.each([
  ['{[".kind"] = "function.lua"}', ['app:a', 'other:a']],
  ['{[".ns"] = "app", [".kind"] = "process.lua"}', ['app:b']],
  ['{[".name"] = "a"}', ['app:a', 'other:a']],
  ['{[".id"] = "other:a"}', ['other:a']],
  ['{["meta.type"] = "tool"}', ['app:b']],
  ['{["~meta.name"] = "^(al|be)"}', ['app:a', 'app:b']],
  ['{["*meta.name"] = "amm"}', ['other:a']],
  ['{["^meta.name"] = "be"}', ['app:b']],
  ['{["$meta.name"] = "ha"}', ['app:a']],
  ['{["meta.tags"] = "x"}', ['app:a']],
  ['{["meta.command.name"] = "go"}', ['app:a']],
  ['{["meta.none"] = "x"}', []],
  ['{type = "test"}', ['app:a', 'app:b', 'other:a']],
  ['nil', ['app:a', 'app:b', 'other:a']],
])('registry.find(%s) gives %j', (filter, ids) => {
  const body = `local out = {} for i, e in ipairs(registry.find(${filter})) do out[i] = e.id end return #out == 0 and json.decode("[]") or out`
  expect(returned(body, [], { answers: registryAnswers })).toEqual(ids)
})

test('a filter key that is ignored is warned of', () => {
  const { host } = run('registry.find({type = "x"})', [], { answers: registryAnswers })
  expect(host.logs).toMatchObject([{ level: 'warn', message: expect.stringContaining('"type"') }])
})

test('get, parse_id, and a missing entry', () => {
  const body =
    'local e, err = registry.get("app:none") return {registry.get("app:a").data.n, registry.parse_id("a.b:c"), err:kind(), select(2, registry.get("x")):kind()}'
  expect(returned(body, [], { answers: registryAnswers })).toEqual([1, { ns: 'a.b', name: 'c' }, 'NotFound', 'Invalid'])
})

test('versions know their neighbours in the list, and say what they are', () => {
  const body = `
    local v = registry.current_version()
    local all = registry.versions()
    return {v:id(), v:string(), v:previous():id(), v:previous():previous():id(), v:next() == nil, all[1]:previous() == nil, #all,
      tostring(v):match("Version") and tostring(registry.snapshot()):match("Snapshot") and tostring(registry.history()):match("History")
        and tostring(registry.snapshot():changes()):match("Changes") ~= nil, all[3] == v}`
  expect(returned(body, [], { answers: registryAnswers })).toEqual([3, 'v3', 1, 0, true, true, 3, true, true])
})

test('a snapshot reads at its version; the boot state only by way of the history', () => {
  const body = `
    local s = registry.snapshot_at(1)
    local _, zero = registry.snapshot_at(0)
    local _, none = registry.snapshot_at(2)
    local h = registry.history()
    local boot = h:snapshot_at(h:versions()[1])
    return {s:version():id(), #s:entries(), s:get("app:b").kind, #s:find({[".ns"] = "app"}), #s:namespace("other"), zero:kind(), none:kind(), boot:version():id(), h:get_version(3):id()}`
  const { commands, step } = run(body, [], { answers: registryAnswers })
  expect(step).toEqual({ kind: 'returned', value: [1, 3, 'process.lua', 2, 1, 'Invalid', 'NotFound', 0, 3] })
  expect(commands).toContainEqual({ kind: 'request', handler: 'registry.entries', input: { version: 1 } })
})

test('changes are collected, shown and applied at once', () => {
  const body = `
    local c = registry.snapshot():changes()
    local same = c:create({id = "app:n", kind = "x", meta = {a = 1}, data = {b = 2}}) == c
    c:update({id = "app:a", kind = "function.lua"}):delete("app:b"):delete({ns = "other", name = "a"})
    local ops = c:ops()
    return {same, #ops, ops[1].kind, ops[1].entry.data.b, ops[4].entry.id, c:apply():id()}`
  const { commands, step } = run(body, [], { answers: registryAnswers })
  expect(step).toEqual({ kind: 'returned', value: [true, 4, 'entry.create', 2, 'other:a', 4] })
  expect(commands.at(-1)).toMatchObject({
    handler: 'registry.apply',
    input: {
      base: 3,
      ops: [{ kind: 'entry.create' }, { kind: 'entry.update' }, { kind: 'entry.delete' }, { kind: 'entry.delete' }],
    },
  })
})

test('applying nothing is Invalid; a refusal is its error', () => {
  expect(
    returned('local v, e = registry.snapshot():changes():apply() return {v == nil, e:kind()}', [], {
      answers: registryAnswers,
    }),
  ).toEqual([true, 'Invalid'])
  const answers = { ...registryAnswers, 'registry.apply': refuse('conflict') }
  expect(
    returned('local v, e = registry.snapshot():changes():delete("app:a"):apply() return e:kind()', [], { answers }),
  ).toBe('Conflict')
})

test('apply_version takes a version or its id', () => {
  const { commands, step } = run(
    'return {registry.apply_version(registry.current_version():previous()), registry.apply_version(3)}',
    [],
    { answers: registryAnswers },
  )
  expect(step).toEqual({ kind: 'returned', value: [true, true] })
  expect(commands.filter((c) => c.kind === 'request' && c.handler === 'registry.apply_version')).toMatchObject([
    { input: { version: 1 } },
    { input: { version: 3 } },
  ])
})

test('build_delta says what turns one list of entries into another', () => {
  const body = `
    local a = {id = "t:a", kind = "x", meta = {}, data = {n = 1}}
    local b = {id = "t:b", kind = "x"}
    local c = {id = "t:c", kind = "x", data = {p = 1, q = 2}}
    local out = {}
    for i, op in ipairs(registry.build_delta({a, b, c}, {{id = "t:a", kind = "x", data = {n = 2}}, {id = "t:c", kind = "x", data = {q = 2, p = 1}}, {id = "t:d", kind = "x"}})) do
      out[i] = op.kind .. " " .. op.entry.id
    end
    return out`
  expect(returned(body)).toEqual(['entry.delete t:b', 'entry.create t:d', 'entry.update t:a'])
})

/* ------------------------------------------------------------------------------------- security, system, pg */

test('actor and scope come from the context, as tags or as plain data', () => {
  const policies = [{ id: 'app:p', effect: 'allow', actions: ['doc.*'], resources: ['*'], conditions: [] }]
  const context = { '@actor': new Tagged('lua.actor', { id: 'u', meta: { role: 'x' } }), '@scope': { policies } }
  const body = `
    local a, s = security.actor(), security.scope()
    return {a:id(), a:meta().role, s:contains("app:p"), #s:policies(), security.can("doc.read", "d"), security.can("other", "d"), #s:without("app:p"):policies(), s:evaluate(a, "doc.x", "r")}`
  expect(returned(body, [], { context })).toEqual(['u', 'x', true, 1, true, false, 0, 'allow'])
  expect(returned('return {security.actor() == nil, security.scope() == nil, security.can("x", "y")}')).toEqual([
    true,
    true,
    false,
  ])
})

test('policies and groups come from the app', () => {
  const data = { policy: { actions: '*', resources: '*', effect: 'allow' } }
  const answers = { 'security.policy': () => ({ id: 'app:p', data }), 'security.group': () => [{ id: 'app:p', data }] }
  const body = `
    local p = security.policy("app:p")
    local s = security.new_scope({p})
    return {p:id(), p:evaluate(nil, "a", "r"), s:evaluate(nil, "a", "r"), security.new_scope():with(p):contains(p), security.named_scope("app:g"):contains("app:p")}`
  expect(returned(body, [], { answers })).toEqual(['app:p', 'allow', 'allow', true, true])
})

test('system tells of the node; a lock held by another is false and AlreadyExists', () => {
  const answers = {
    'system.node': () => ({ id: 'n1', address: 'a' }),
    'system.memory': () => ({ heapUsedBytes: 1, heapTotalBytes: 2, rssBytes: 3 }),
    'system.members': () => [{ id: 'n1', isLocal: true }],
    'system.lock': refuse('already_exists'),
    'system.unlock': () => false,
  }
  const body = `
    local ok, e = system.lock.acquire("l")
    return {system.node.id(), system.memory.allocated(), system.cluster.members()[1].is_local, system.cluster.size(), ok, e:kind(), system.lock.release("l")}`
  expect(returned(body, [], { answers })).toEqual(['n1', 1, true, 1, false, 'AlreadyExists', false])
})

test('process groups of a scope', () => {
  const answers = {
    'pg.open': () => null,
    'pg.join': () => null,
    'pg.leave': () => null,
    'pg.members': () => [peer],
    'pg.groups': () => ['g'],
    'pg.broadcast': () => null,
    'pg.monitor': () => ({ g: [peer] }),
    'pg.demonitor': () => null,
  }
  const joined = { system: 'pg', kind: 'member.joined', path: 'g', data: { Group: 'g', PIDs: [peer] } }
  const { commands, step } = run(
    `local g = pg.open("app:scope")
     local sub, members = g:monitor("g")
     local e = sub:channel():receive()
     local _, all = g:events()
     return {g:join("g"), g:join({"g", "h"}), #g:get_members("g"), #g:get_local_members("g"), g:which_groups()[1], g:broadcast("g", "t", 1),
       #members, e.kind, e.data.PIDs[1] == members[1], sub:close(), sub:close(), #all.g, g:leave("g"), g:release(), (select(2, g:join("g"))):kind()}`,
    [message('@pg/1', joined)],
    { answers },
  )
  expect(step).toEqual({
    kind: 'returned',
    value: [true, true, 1, 1, 'g', true, 1, 'member.joined', true, true, true, 1, true, true, 'Invalid'],
  })
  expect(commands).toContainEqual({
    kind: 'request',
    handler: 'pg.join',
    input: { scope: 'app:scope', groups: ['g', 'h'] },
  })
  expect(commands).toContainEqual({
    kind: 'request',
    handler: 'pg.monitor',
    input: { scope: 'app:scope', group: 'g', topic: '@pg/1' },
  })
})

test('a group that cannot be watched gives the error as the third value', () => {
  const answers = { 'pg.open': () => null, 'pg.monitor': refuse('permission_denied') }
  expect(
    returned('local a, b, e = pg.open("a:s"):monitor("g") return {a == nil, b == nil, e:kind()}', [], { answers }),
  ).toEqual([true, true, 'PermissionDenied'])
})

/* ------------------------------------------------------------------------------------------ queue, metrics */

test('queue.publish hands over data and headers', () => {
  const { commands } = run('queue.publish("app:q", {x = 1}, {h = "v", n = 2})', [], {
    answers: { 'queue.publish': () => null },
  })
  expect(commands).toEqual([
    {
      kind: 'request',
      handler: 'queue.publish',
      input: { queue: 'app:q', payload: { x: 1 }, headers: { h: 'v', n: 2 } },
    },
  ])
})

test('a consumer sees its delivery, the same object each time, and settles it once', () => {
  const body = `
    local m = queue.message()
    return {m == queue.message(), m:id(), m:header("p"), m:header("x") == nil, m:headers().p, m:ack(), (select(2, m:nack())):kind()}`
  const options = { context: { '@queue': { id: 'm-1', headers: { p: 'high' } } }, answers: { 'queue.ack': () => null } }
  expect(returned(body, [], options)).toEqual([true, 'm-1', 'high', true, 'high', true, 'Invalid'])
})

test.each(['queue.publish("", 1)', 'queue.publish("app:q", nil)', 'queue.message()', 'queue.info("x")'])(
  '%s is Invalid',
  (call) => {
    expect(returned(`local v, e = ${call} return {v == nil, e:kind()}`)).toEqual([true, 'Invalid'])
  },
)

test('metrics are records', () => {
  const { commands } = run(
    'metrics.counter_inc("c", {m = "x"}) metrics.counter_add("c", 5) metrics.gauge_set("g", 2) metrics.gauge_inc("g") metrics.gauge_dec("g") metrics.histogram("h", 0.5, {n = 1})',
    [],
    { answers: { 'metrics.record': () => null } },
  )
  expect(commands.map((c) => c.kind === 'request' && c.input)).toEqual([
    { kind: 'counter', name: 'c', value: 1, labels: { m: 'x' } },
    { kind: 'counter', name: 'c', value: 5, labels: {} },
    { kind: 'gauge_set', name: 'g', value: 2, labels: {} },
    { kind: 'gauge_add', name: 'g', value: 1, labels: {} },
    { kind: 'gauge_add', name: 'g', value: -1, labels: {} },
    { kind: 'histogram', name: 'h', value: 0.5, labels: { n: '1' } },
  ])
})

/* ------------------------------------------------------------------------------------------ contract, fs */

const binding = { id: 'app:impl', contracts: ['app:greeter'], methods: { hello: 'app:say_hello' } }

test('a binding answers its methods by calls, and with _async by futures, in its context', () => {
  const { commands, step } = run(
    `local i = contract.open("app:impl?debug=true&n=5", {tenant = "t"})
     local hi = i:hello("Ann")
     local f = i:hello_async("Bob")
     local _, e = i:nope()
     return {hi, type(f.cancel), contract.is(i, "app:greeter"), contract.is(i, "app:other"), contract.is("x", "y"), e:kind(), i.hello == i.hello}`,
    [returns('hi')],
    { answers: { 'contract.open': () => binding } },
  )
  expect(step).toEqual({ kind: 'returned', value: ['hi', 'function', true, false, false, 'NotFound', true] })
  expect(commands.slice(1)).toEqual([
    { kind: 'call', target: 'app:say_hello', args: ['Ann'], options: { context: { debug: true, n: 5, tenant: 't' } } },
    { kind: 'call', target: 'app:say_hello', args: ['Bob'], options: { context: { debug: true, n: 5, tenant: 't' } } },
  ])
})

test('a contract tells its methods and opens its default binding', () => {
  const answers = {
    'contract.get': () => ({ id: 'app:greeter', methods: [{ name: 'hello', description: 'says it' }] }),
    'contract.implementations': () => ['app:impl'],
    'contract.open': () => binding,
    call: () => 'hi',
  }
  const { commands, step } = run(
    `local c = contract.get("app:greeter")
     local _, e = c:method("nope")
     return {c:id(), c:methods()[1].name, c:method("hello").description, e:kind(), c:implementations()[1], contract.find_implementations("app:greeter")[1],
       c:with_context({a = 1}):with_options({}):open(nil, {b = 2}):hello()}`,
    [],
    { answers },
  )
  expect(step).toEqual({
    kind: 'returned',
    value: ['app:greeter', 'hello', 'says it', 'NotFound', 'app:impl', 'app:impl', 'hi'],
  })
  expect(commands.at(-1)).toMatchObject({ options: { context: { a: 1, b: 2 } } })
})

test('a volume reads, writes and lists; its paths cannot leave it', () => {
  const answers = {
    'fs.open': () => null,
    'fs.read': () => Uint8Array.of(255, 1),
    'fs.write': () => null,
    'fs.mkdir': () => null,
    'fs.remove': () => null,
    'fs.stat': ({ input }: { input: { path: string } }) =>
      input.path === '/none'
        ? refuse('not_found')()
        : { name: 'a', sizeBytes: 3, isDirectory: input.path === '/d', modifiedMs: 0 },
    'fs.list': () => [
      { name: 'x', isDirectory: false },
      { name: 'y', isDirectory: true },
    ],
  }
  const { commands, step } = run(
    `local v = fs.get("app:data")
     local names = {}
     for e in v:readdir("/") do names[#names + 1] = e.name .. ":" .. e.type end
     local s = v:stat("a")
     local _, e = v:readfile("../secret")
     return {#v:readfile("a"), v:writefile("/b/../c", "x"), v:writefile("c", "y", "a"), v:exists("a"), v:exists("/none"), v:isdir("/d"), v:isdir("a"),
       s.size, s.type, s.modified:unix(), names, e:kind(), v:mkdir("d"), v:remove("d")}`,
    [],
    { answers },
  )
  expect(step).toEqual({
    kind: 'returned',
    value: [2, true, true, true, false, true, false, 3, 'file', 0, ['x:file', 'y:directory'], 'Invalid', true, true],
  })
  expect(commands).toContainEqual({
    kind: 'request',
    handler: 'fs.write',
    input: { fs: 'app:data', path: '/c', data: 'y', append: true },
  })
})

/* ------------------------------------------------------------------------------------------------ http */

test('http_client sends what the options say', () => {
  const answer = {
    statusCode: 200,
    headers: { 'Content-Type': 'text/plain' },
    cookies: {},
    body: 'é',
    url: 'http://x/y?a=1',
  }
  const { commands, step } = run(
    `local r = http_client.get("http://x/y?a=1", {query = {q = "a b"}, headers = {A = "1"}, cookies = {c = "d"}, auth = {user = "u", pass = "p"}, timeout = 5})
     http_client.post("http://x/", {form = {k = "v&"}, timeout = "1m"})
     http_client.request("propfind", "http://x/", {body = "b", max_response_body = 10})
     return {r.status_code, r.body, r.body_size, r.headers["Content-Type"], r.url}`,
    [],
    { answers: { 'http.request': () => answer } },
  )
  expect(commands.map((c) => c.kind === 'request' && c.input)).toEqual([
    {
      method: 'GET',
      url: 'http://x/y?a=1&q=a+b',
      headers: { A: '1', Cookie: 'c=d', Authorization: `Basic ${Buffer.from('u:p').toString('base64')}` },
      timeoutMs: 5_000,
    },
    {
      method: 'POST',
      url: 'http://x/',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: 'k=v%26',
      timeoutMs: 60_000,
    },
    { method: 'PROPFIND', url: 'http://x/', headers: {}, body: 'b', maxResponseBytes: 10 },
  ])
  expect(step).toEqual({ kind: 'returned', value: [200, 'é', 2, 'text/plain', 'http://x/y?a=1'] })
})

test.each([
  'http_client.get("")',
  'http_client.get("ftp://x")',
  'http_client.get("nonsense")',
  'http_client.post("http://x", {body = {}})',
  'http_client.decode_uri("%zz")',
])('%s is Invalid', (call) => {
  expect(returned(`local v, e = ${call} return {v == nil, e:kind()}`)).toEqual([true, 'Invalid'])
})

test('uri texts are encoded and decoded', () => {
  expect(returned('return {http_client.encode_uri("hello world&"), http_client.decode_uri("hello+world%26")}')).toEqual(
    ['hello+world%26', 'hello world&'],
  )
})

const served = {
  method: 'POST',
  path: '/users/7',
  query: { q: ['a', 'b'], page: ['2'] },
  headers: { 'content-type': 'application/json; charset=utf-8', accept: 'text/*', host: 'h:1' },
  params: { id: '7' },
  body: '{"name": "x"}',
  remoteAddress: '10.0.0.1:5',
}

test('http.request answers everything about the request', () => {
  const body = `
    local r = http.request()
    return {r:method() == http.METHOD.POST, r:path(), r:query("q"), r:query("none") == nil, r:query_params(), r:header("Content-Type"), r:content_type(), r:content_length(),
      r:host(), r:param("id"), r:params().id, r:body(), r:body_json().name, r:has_body(), r:is_content_type("application/json"), r:accepts("text/html"), r:accepts("application/json"), r:remote_addr()}`
  const ct = served.headers['content-type']
  expect(returned(body, [], { context: { '@http': served } })).toEqual([
    true,
    '/users/7',
    'a',
    true,
    { q: 'a,b', page: '2' },
    ct,
    ct,
    13,
    'h:1',
    '7',
    '7',
    served.body,
    'x',
    true,
    true,
    true,
    false,
    '10.0.0.1:5',
  ])
})

test('http.response is sent in parts, in order', () => {
  const { commands, step } = run(
    `local r = http.response()
     return {r:set_status(http.STATUS.CREATED), r:set_header("X", 1), r:write_json({a = {1}}), r:set_transfer(http.TRANSFER.SSE), r:write_event({name = "n", data = {p = 1}}), r:flush(), (select(2, r:set_status(7))):kind()}`,
    [],
    { context: { '@http': served }, answers: { 'http.respond': () => null } },
  )
  expect(commands.map((c) => c.kind === 'request' && c.input)).toEqual([
    { kind: 'status', code: 201 },
    { kind: 'header', name: 'X', value: '1' },
    { kind: 'header', name: 'Content-Type', value: 'application/json' },
    { kind: 'write', data: '{"a":[1]}' },
    { kind: 'transfer', mode: 'sse' },
    { kind: 'write', data: 'event: n\ndata: {"p":1}\n\n' },
    { kind: 'flush' },
    { kind: 'flush' },
  ])
  expect(step).toEqual({ kind: 'returned', value: [true, true, true, true, true, true, 'Invalid'] })
})

test('a program that serves no request has neither request nor response', () => {
  expect(
    returned(
      'local v, e = http.request() local w, f = http.response() return {v == nil, e:kind(), w == nil, f:kind()}',
    ),
  ).toEqual([true, 'Internal', true, 'Internal'])
})

test('bad JSON in a request body is Invalid', () => {
  expect(
    returned('local v, e = http.request():body_json() return {v == nil, e:kind()}', [], {
      context: { '@http': { ...served, body: '{' } },
    }),
  ).toEqual([true, 'Invalid'])
})
