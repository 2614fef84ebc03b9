import { AppError, formatPid } from '@daruma/protocol'
import type { MessageEvent, ProgramEvent } from '@daruma/protocol'
import { expect, test } from 'vitest'
import { fails, message, peer, returns, runLua, self, type RunOptions, type ScriptEvent } from '../../src/testing.ts'

const peerText = formatPid(peer)

const run = (body: string, script: readonly ScriptEvent[] = [], options: RunOptions = {}) =>
  runLua(`return function(...)\n${body}\nend`, script, options)

const returned = (body: string, script: readonly ScriptEvent[] = [], options: RunOptions = {}): unknown => {
  const { step } = run(body, script, options)
  if (step.kind !== 'returned') throw new Error(`not returned: ${JSON.stringify(step)}`)
  return step.value
}

test('id is the registry id, pid the same text every time', () => {
  expect(
    returned('return {process.id(), process.pid(), process.pid() == process.pid()}', [], { entry: 'app:me' }),
  ).toEqual(['app:me', formatPid(self), true])
})

/* ------------------------------------------------------------------------------------------------ send */

test.each([[`"${peerText}"`], [`"${peerText.slice(1, -1)}"`]])('send takes the text of a pid, %s', (destination) => {
  const { commands, step } = run(`return process.send(${destination}, "t", 1, "b", {c = 3})`)
  expect(commands).toEqual([
    { kind: 'send', to: expect.objectContaining({ id: 2 }), topic: 't', payload: [1, 'b', { c: 3 }] },
  ])
  expect(step).toEqual({ kind: 'returned', value: true })
})

test('send takes a registered name', () => {
  expect(run('process.send("worker", "t")').commands).toEqual([{ kind: 'send', to: 'worker', topic: 't', payload: [] }])
})

test('payload objects are unwrapped when sent', () => {
  expect(run('process.send("w", "t", payload.new({x = 1}))').commands).toMatchObject([{ payload: [{ x: 1 }] }])
})

test.each([
  ['""', '"t"'],
  ['nil', '"t"'],
  ['"w"', '""'],
  ['"w"', 'nil'],
  ['"w"', '"@inbox"'],
  ['"w"', '"t", print'],
])('send(%s, %s) is nil and an error of kind Invalid, and sends nothing', (destination, topic) => {
  const { commands, step } = run(`local v, e = process.send(${destination}, ${topic}) return {v == nil, e:kind()}`)
  expect(step).toEqual({ kind: 'returned', value: [true, 'Invalid'] })
  expect(commands).toEqual([])
})

test('a send that the host refuses is nil and the error, with its text and retryability', () => {
  const answers = {
    send: () => {
      throw new AppError('not_found', 'process not found: w', undefined, { retryable: false })
    },
  }
  const body =
    'local v, e = process.send("w", "t") return {v == nil, e:kind(), e:retryable(), string.find(e, "not found", 1, true) ~= nil}'
  expect(returned(body, [], { answers })).toEqual([true, 'NotFound', false, true])
})

/* ------------------------------------------------------------------------------------------------ spawn */

test.each([
  ['spawn', undefined],
  ['spawn_monitored', { monitor: true }],
  ['spawn_linked', { link: true }],
  ['spawn_linked_monitored', { monitor: true, link: true }],
])('%s gives the pid as text', (name, options) => {
  const { commands, step } = run(`return process.${name}("app:w", "app:h", 1, {2})`)
  expect(commands).toEqual([
    { kind: 'spawn', target: 'app:w', host: 'app:h', args: [1, [2]], ...(options === undefined ? {} : { options }) },
  ])
  expect(step).toMatchObject({ kind: 'returned', value: expect.stringMatching(/^\{node-1@app:processes\|/) })
})

test.each([
  'process.spawn("", "app:h")',
  'process.spawn("w", "app:h")',
  'process.spawn("app:w", "")',
  'process.spawn("app:w")',
])('%s is Invalid', (call) => {
  expect(returned(`local v, e = ${call} return {v == nil, e:kind()}`)).toEqual([true, 'Invalid'])
})

test('exec waits for the result, or gives the error', () => {
  const body = 'local v, e = process.exec("app:w", "app:h", 7) return {v or false, e and e:kind() or false}'
  const ok = run(body, [returns('out')])
  expect(ok.commands).toEqual([{ kind: 'exec', target: 'app:w', host: 'app:h', args: [7] }])
  expect(ok.step).toEqual({ kind: 'returned', value: ['out', false] })
  expect(run(body, [fails(new AppError('conflict', 'no'))]).step).toEqual({
    kind: 'returned',
    value: [false, 'Conflict'],
  })
})

test('a spawner is immutable and carries context, options, name and messages', () => {
  const body = `
    local base = process.with_context({a = 1})
    local named = base:with_context({b = 2}):with_name("boss"):with_message("hi", 1, 2):with_options({["workflow.id"] = "wf-1"})
    named:spawn("app:w", "app:h", "x")
    base:spawn_linked("app:w", "app:h")
    base:spawn_monitored("app:w", "app:h")
    base:spawn_linked_monitored("app:w", "app:h")`
  expect(run(body).commands).toEqual([
    {
      kind: 'spawn',
      target: 'app:w',
      host: 'app:h',
      args: ['x'],
      options: {
        workflowId: 'wf-1',
        name: 'boss',
        messages: [{ topic: 'hi', payload: [1, 2] }],
        context: { a: 1, b: 2 },
      },
    },
    { kind: 'spawn', target: 'app:w', host: 'app:h', args: [], options: { link: true, context: { a: 1 } } },
    { kind: 'spawn', target: 'app:w', host: 'app:h', args: [], options: { monitor: true, context: { a: 1 } } },
    {
      kind: 'spawn',
      target: 'app:w',
      host: 'app:h',
      args: [],
      options: { monitor: true, link: true, context: { a: 1 } },
    },
  ])
})

test('an actor and a scope travel in the context of a spawn', () => {
  const body = `
    local security = require("security")
    local actor, scope = security.new_actor("user:1", {role = "x"}), security.new_scope()
    process.with_options({}):with_actor(actor):with_scope(scope):spawn("app:w", "app:h")`
  expect(run(body).commands).toMatchObject([
    {
      options: {
        context: { '@actor': { value: { id: 'user:1', meta: { role: 'x' } } }, '@scope': { value: { policies: [] } } },
      },
    },
  ])
})

test.each(['temporal.workflow', 'workflow'])(
  'workflow options under the prefix %s become those of the spawn',
  (prefix) => {
    const body = `
    process.with_options({
      ["${prefix}.id"] = "wf-1",
      ["${prefix}.id_conflict_policy"] = "terminate_existing",
      ["${prefix}.id_reuse_policy"] = "reject_duplicate",
      ["${prefix}.parent_close_policy"] = "abandon",
      ["${prefix}.execution_timeout"] = "1h",
      ["${prefix}.run_timeout"] = 60000,
      ["${prefix}.start_delay"] = "5s",
      ["${prefix}.memo"] = {owner = "me"},
      ["${prefix}.search_attributes"] = {Customer = "c"},
      ["something.else"] = 1, network = "x",
    }):spawn("app:w", "app:h")`
    expect(run(body).commands).toMatchObject([
      {
        options: {
          workflowId: 'wf-1',
          idConflict: 'terminate_existing',
          idReuse: 'reject_duplicate',
          parentClose: 'abandon',
          executionTimeoutMs: 3_600_000,
          runTimeoutMs: 60_000,
          startDelayMs: 5_000,
          memo: { owner: 'me' },
          searchAttributes: { Customer: 'c' },
        },
      },
    ])
  },
)

test('options may be nested tables, and an error flag is the policy fail', () => {
  const body = `process.with_options({temporal = {workflow = {id = "a", execution_error_when_already_started = true}}}):spawn("app:w", "app:h")`
  expect(run(body).commands).toMatchObject([{ options: { workflowId: 'a', idConflict: 'fail' } }])
})

test('an option with a wrong value is Invalid and says which', () => {
  const body = `
    local v, e = process.with_options({["workflow.execution_timeout"] = "soon"}):spawn("app:w", "app:h")
    return {e:kind(), e:message()}`
  expect(returned(body)).toEqual(['Invalid', expect.stringMatching(/workflow\.execution_timeout.*"soon"/)])
})

/* ------------------------------------------------------------------------------- terminate, links, options */

test('terminate and cancel are exits of their modes', () => {
  expect(run('process.terminate("w") process.cancel("w", "why") return process.cancel("w")').commands).toEqual([
    { kind: 'exit', to: 'w', mode: 'terminate' },
    { kind: 'exit', to: 'w', mode: 'cancel', reason: 'why' },
    { kind: 'exit', to: 'w', mode: 'cancel' },
  ])
})

test.each(['monitor', 'unmonitor', 'link', 'unlink'])('%s is a command, and true', (name) => {
  const { commands, step } = run(`return process.${name}("${peerText}")`)
  expect(commands).toEqual([{ kind: name, to: expect.objectContaining({ id: 2 }) }])
  expect(step).toEqual({ kind: 'returned', value: true })
})

test.each(['monitor', 'unmonitor', 'link', 'unlink'])('%s is not supported in a workflow', (name) => {
  const body = `local v, e = process.${name}("w") return {v == nil, e:kind(), e:message()}`
  const { commands, step } = run(body, [], { workflow: {} })
  expect(step).toEqual({
    kind: 'returned',
    value: [true, 'Invalid', expect.stringContaining('not supported in workflow context')],
  })
  expect(commands).toEqual([])
})

test('trap_links is false until set, and set by a command', () => {
  const { commands, step } = run(`
    local before = process.get_options().trap_links
    return {before, process.set_options({trap_links = true}), process.get_options().trap_links}`)
  expect(step).toEqual({ kind: 'returned', value: [false, true, true] })
  expect(commands).toEqual([{ kind: 'trap_links', on: true }])
})

test.each(['{nope = 1}', '{trap_links = 1}', '"x"'])('set_options(%s) is false and Invalid', (options) => {
  expect(returned(`local ok, e = process.set_options(${options}) return {ok, e:kind()}`)).toEqual([false, 'Invalid'])
})

/* --------------------------------------------------------------------------------------- inbox and topics */

test('a message answers topic, from, payload, and the plain fields of a table payload, its methods winning', () => {
  const body = `
    local m = process.inbox():receive()
    return {m:topic(), m:from(), m:payload():data().approved, m.approved, type(m.topic), m.nested.x, m.missing == nil, type(m)}`
  expect(returned(body, [message('decision', { approved: true, topic: 'hidden', nested: { x: 1 } })])).toEqual([
    'decision',
    peerText,
    true,
    true,
    'function',
    1,
    true,
    'userdata',
  ])
})

test('fields of a message and of its payload are one table', () => {
  const body = 'local m = process.inbox():receive() m.list[1] = "changed" return m:payload():data().list[1]'
  expect(returned(body, [message('t', { list: ['a'] })])).toBe('changed')
})

test('a table that is both list and record arrives as it was', () => {
  const sent = run('process.send("w", "t", {1, 2, x = {3}})').commands[0]
  const payload = sent?.kind === 'send' ? sent.payload : []
  const body =
    'local m = process.inbox():receive() local d = m:payload():data() return {m.x[1], m[2], d[1], d.x[1], #d}'
  expect(returned(body, [message('t', ...payload)])).toEqual([3, 2, 1, 3, 2])
})

test('a message from outside has an empty sender, one without values no payload', () => {
  const outside: MessageEvent = { kind: 'message', from: undefined, topic: 't', payload: [] }
  expect(
    returned('local m = process.inbox():receive() return {m:from(), m:payload() == nil, m.x == nil}', [outside]),
  ).toEqual(['', true, true])
})

test('several values are a payload that is an array', () => {
  expect(returned('return process.inbox():receive():payload():data()', [message('t', 1, 'b')])).toEqual([1, 'b'])
})

test('the inbox, the events and a topic are the identical object each time', () => {
  expect(
    returned(
      'return {process.inbox() == process.inbox(), process.events() == process.events(), process.listen("t") == process.listen("t")}',
    ),
  ).toEqual([true, true, true])
})

test('an exact topic goes to its listener, the rest to the inbox, in the order sent', () => {
  const body = `
    local inbox, orders = process.inbox(), process.listen("order")
    local a, b, c, d = orders:receive(), inbox:receive(), orders:receive(), inbox:receive()
    return {a, b:topic(), c, d:topic()}`
  const script = [message('order', 1), message('x'), message('order', 2), message('order.more')]
  expect(returned(body, script)).toEqual([1, 'x', 2, 'order.more'])
})

test('listen delivers raw values: one as it is, several as an array; messages when asked', () => {
  const body = `
    local raw, messages = process.listen("raw"), process.listen("msg", {message = true})
    local one, many = raw:receive(), raw:receive()
    local m = messages:receive()
    return {one.x, many, m:topic(), m:payload():data()}`
  expect(returned(body, [message('raw', { x: 1 }), message('raw', 1, 2), message('msg', 'v')])).toEqual([
    1,
    [1, 2],
    'msg',
    'v',
  ])
})

test.each(['""', '"@events"', 'nil'])('listen(%s) is Invalid', (topic) => {
  expect(returned(`local v, e = process.listen(${topic}) return {v == nil, e:kind()}`)).toEqual([true, 'Invalid'])
})

test('messages that came before anybody listened wait for whoever does', () => {
  const body = `
    local time = require("time")
    time.sleep("1s")
    local t = process.listen("t")
    local inbox = process.inbox()
    return {t:receive(), inbox:receive():topic(), (t:receive())}`
  expect(returned(body, [message('t', 1), message('other'), message('t', 2), returns()])).toEqual([1, 'other', 2])
})

test('a message to a reserved topic never goes to the inbox', () => {
  const body = `
    local inbox, special = process.inbox(), subscribe("@special")
    return {inbox:receive():topic(), (special:receive())}`
  expect(returned(body, [message('@other', 1), message('@special', 2), message('plain')])).toEqual(['plain', 2])
})

test('after unlisten later messages of the topic go to the inbox, and so does what nobody took', () => {
  const body = `
    local inbox, t = process.inbox(), process.listen("t")
    inbox:receive()
    process.unlisten(t)
    local value, ok = t:receive()
    return {value == nil, ok, inbox:receive():payload():data(), inbox:receive():payload():data()}`
  expect(returned(body, [message('t', 1), message('go'), message('t', 2)])).toEqual([true, false, 1, 2])
})

test('global subscribe and unsubscribe are listen and unlisten', () => {
  const body = `
    local inbox, ch = process.inbox(), subscribe("t")
    local first = ch:receive()
    unsubscribe(ch)
    return {first, inbox:receive():payload():data()}`
  expect(returned(body, [message('t', 1), message('t', 2)])).toEqual([1, 2])
})

test('unread gives every message that Lua has not received, oldest first', () => {
  const { program } = run(
    'local inbox, t = process.inbox(), process.listen("t") inbox:receive() channel.new():receive()',
    [message('a'), message('t', 1), message('b', 2), message('@kept', 3)],
  )
  expect(program.unread!().map(({ topic, payload }) => [topic, ...payload])).toEqual([
    ['t', 1],
    ['b', 2],
    ['@kept', 3],
  ])
})

test('a backlog of thirty thousand messages keeps its order and is not dear', () => {
  const count = 30_000
  const body =
    'local inbox, last = process.inbox(), 0 for i = 1, ... do local n = inbox:receive():payload():data() assert(n == last + 1) last = n end return last'
  const script = [...Array.from({ length: count }, (_, index) => message('t', index + 1)), returns()]
  const run = runLua(`local time = require("time") return function(...) time.sleep("1s") ${body} end`, script, {
    args: [count],
  })
  expect(run.step).toEqual({ kind: 'returned', value: count })
})

test('a select over inbox, events and a timer takes what comes', () => {
  const body = `
    local time = require("time")
    local inbox, events, timeout = process.inbox(), process.events(), time.after("5s")
    local out = {}
    for i = 1, 3 do
      local r = channel.select{ inbox:case_receive(), events:case_receive(), timeout:case_receive() }
      out[i] = r.channel == inbox and "inbox" or r.channel == events and r.value.kind or r.channel == timeout and "timeout" or "?"
    end
    return out`
  const cancel: ProgramEvent = { kind: 'cancel', from: peer, reason: 'stop' }
  expect(returned(body, [message('t'), returns(), cancel])).toEqual(['inbox', 'timeout', 'pid.cancel'])
})

/* ------------------------------------------------------------------------------------------------ events */

test('EXIT, LINK_DOWN and CANCEL arrive as plain tables', () => {
  const body = `
    local events = process.events()
    local out = {}
    for i = 1, 4 do out[i] = events:receive() end
    assert(out[2].result.error:kind() == errors.CONFLICT and out[2].result.value == nil)
    assert(out[3].result.error:message() == "lost")
    return {
      {out[1].kind == process.event.EXIT, out[1].from, out[1].at, out[1].result.value, out[1].result.error == nil},
      out[2].kind, out[3].kind == process.event.LINK_DOWN,
      {out[4].kind == process.event.CANCEL, out[4].reason, out[4].from},
    }`
  const script: ProgramEvent[] = [
    { kind: 'exit', from: peer, result: { value: { n: 1 } } },
    { kind: 'exit', from: peer, result: { error: { kind: 'conflict', message: 'no' } } },
    { kind: 'link_down', from: peer, result: { error: { kind: 'internal', message: 'lost' } } },
    { kind: 'cancel', from: undefined, reason: 'enough' },
  ]
  expect(returned(body, script)).toEqual([
    [true, peerText, 1_700_000_000, { n: 1 }, true],
    'pid.exit',
    true,
    [true, 'enough', ''],
  ])
})

test('events that came before events() was called wait for it', () => {
  const script: ScriptEvent[] = [{ kind: 'cancel', from: peer, reason: undefined }, returns()]
  const body = 'require("time").sleep("1s") local e = process.events():receive() return {e.kind, e.reason == nil}'
  expect(returned(body, script)).toEqual(['pid.cancel', true])
})

/* --------------------------------------------------------------------------------------- names, upgrade */

test('scopes of names are numbers', () => {
  expect(returned('local r = process.registry return {r.LOCAL, r.EVENTUAL, r.CONSISTENT, r.STRONG}')).toEqual([
    0, 1, 2, 3,
  ])
})

test('names are registered, looked up and released by requests', () => {
  const body = `
    local r = process.registry
    return {r.register("me"), r.register("you", "${peerText}", r.STRONG), r.lookup("you"), r.unregister("me"), r.unregister("me", r.STRONG)}`
  const { commands, step } = run(body, [], {
    answers: { 'names.register': () => null, 'names.lookup': () => peer, 'names.unregister': () => true },
  })
  expect(step).toEqual({ kind: 'returned', value: [true, true, peerText, true, true] })
  expect(commands).toMatchObject([
    { handler: 'names.register', input: { name: 'me', scope: 0 } },
    { handler: 'names.register', input: { name: 'you', pid: { id: 2 }, scope: 3 } },
    { handler: 'names.lookup', input: { name: 'you' } },
    { handler: 'names.unregister', input: { name: 'me', scope: 0 } },
    { handler: 'names.unregister', input: { name: 'me', scope: 3 } },
  ])
})

test('an unknown name is NotFound, a taken one AlreadyExists, releasing an unknown one false and nothing more', () => {
  const refuse = (kind: 'not_found' | 'already_exists') => () => {
    throw new AppError(kind, 'name')
  }
  const body = `
    local _, e1 = process.registry.lookup("x")
    local _, e2 = process.registry.register("x")
    return {e1:kind(), e2:kind(), select("#", process.registry.unregister("x")), process.registry.unregister("x")}`
  const answers = {
    'names.lookup': refuse('not_found'),
    'names.register': refuse('already_exists'),
    'names.unregister': refuse('not_found'),
  }
  expect(returned(body, [], { answers })).toEqual(['NotFound', 'AlreadyExists', 1, false])
})

test('upgrade leaves at once as other code, and unread messages stay for it', () => {
  const { program, step, host } = run('pcall(function() process.upgrade("app:v2", {n = 1}) end) print("never")', [])
  expect(step).toEqual({ kind: 'become', target: 'app:v2', args: [{ n: 1 }] })
  expect(host.logs).toEqual([])
  expect(program.unread!()).toEqual([])
})

test('upgrade without an id is the current definition', () => {
  const { program, step } = run(
    'process.inbox():receive() process.upgrade(nil, 1)',
    [message('a'), message('b')].slice(0, 1),
  )
  expect(step).toEqual({ kind: 'become', target: undefined, args: [1] })
  expect(program.unread!()).toEqual([])
})

test('a child of a workflow is monitored without asking', () => {
  expect(run('process.spawn("app:w", "orders")', [], { workflow: {} }).commands).toMatchObject([
    { options: { monitor: true } },
  ])
})
