import { expect, test } from 'vitest'
import { formatPid } from '@daruma/protocol'
import { fails, message, peer, returns, runLua } from '../src/testing.ts'

const main = (parameters: string, body: string): string =>
  `local function main(${parameters})\n${body}\nend\nreturn { main = main }`

const payment = main(
  'payment',
  `local funcs = require("funcs")
local time = require("time")

local result = funcs.call("app.api:charge_card", payment)
time.sleep("24h")
local status = funcs.call("app.api:check_status", result.id)

if status == "failed" then
    funcs.call("app.api:refund", result.id)
end`,
)

const saga = main(
  'items, amount, order',
  `local funcs = require("funcs")

local inventory = funcs.call("app.inventory:reserve", items)
if inventory.error then
    return nil, inventory.error
end

local payment = funcs.call("app.payments:charge", amount)
if payment.error then
    funcs.call("app.inventory:release", inventory.id)
    return nil, payment.error
end

local shipping = funcs.call("app.shipping:create", order)
if shipping.error then
    funcs.call("app.payments:refund", payment.id)
    funcs.call("app.inventory:release", inventory.id)
    return nil, shipping.error
end

return {inventory = inventory, payment = payment, shipping = shipping}`,
)

const approval = main(
  'request',
  `local funcs = require("funcs")

funcs.call("app.approvals:submit", request)

local inbox = process.inbox()
local msg = inbox:receive()  -- シグナルが到着するまでブロック

if msg.approved then
    funcs.call("app.orders:fulfill", request.order_id)
else
    funcs.call("app.notifications:send_rejection", request)
end`,
)

const starter = main(
  'order_data',
  `-- temporal workerでワークフローを生成
local pid = process.spawn("app.workflows:order_processor", "app:temporal_worker", order_data)

-- ワークフローにシグナルを送信
process.send(pid, "update", {status = "approved"})`,
)

const call = (target: string, ...args: readonly unknown[]) => ({ kind: 'call', target, args })

const workflow = { workflow: {}, definition: { modules: ['funcs', 'time'] } }

test('the payment of the seed charges, sleeps a day, checks, and refunds what failed', () => {
  const card = { amount: 100, card: 'tok_1' }
  const run = runLua(payment, [returns({ id: 'ch_1' }), returns(), returns('failed'), returns()], {
    ...workflow,
    args: [card],
  })
  expect(run.commands).toEqual([
    call('app.api:charge_card', card),
    { kind: 'sleep', durationMs: 86_400_000 },
    call('app.api:check_status', 'ch_1'),
    call('app.api:refund', 'ch_1'),
  ])
  expect(run.step).toEqual({ kind: 'returned', value: undefined })
})

test('the payment of the seed leaves what succeeded alone', () => {
  const run = runLua(payment, [returns({ id: 'ch_1' }), returns(), returns('settled')], { ...workflow, args: [{}] })
  expect(run.commands).toHaveLength(3)
  expect(run.step).toEqual({ kind: 'returned', value: undefined })
})

const order = { args: [['sku-1'], 100, { id: 'o-1' }] }

test('the saga of the seed returns all three results', () => {
  const run = runLua(saga, [returns({ id: 'i' }), returns({ id: 'p' }), returns({ id: 's' })], {
    ...workflow,
    ...order,
  })
  expect(run.step).toEqual({
    kind: 'returned',
    value: { inventory: { id: 'i' }, payment: { id: 'p' }, shipping: { id: 's' } },
  })
})

test('the saga of the seed stops at the first failure with nothing to undo', () => {
  const run = runLua(saga, [returns({ error: 'no stock' })], { ...workflow, ...order })
  expect(run.commands).toEqual([call('app.inventory:reserve', ['sku-1'])])
  expect(run.step).toEqual({ kind: 'failed', error: { kind: 'unknown', message: 'no stock' } })
})

test('the saga of the seed undoes the reservation when the charge fails', () => {
  const script = [returns({ id: 'i' }), returns({ error: 'declined' }), returns()]
  const run = runLua(saga, script, { ...workflow, ...order })
  expect(run.commands.slice(2)).toEqual([call('app.inventory:release', 'i')])
  expect(run.step).toMatchObject({ kind: 'failed', error: { message: 'declined' } })
})

test('the saga of the seed undoes charge and reservation, in that order, when shipping fails', () => {
  const script = [returns({ id: 'i' }), returns({ id: 'p' }), returns({ error: 'no courier' }), returns(), returns()]
  const run = runLua(saga, script, { ...workflow, ...order })
  expect(run.commands.slice(3)).toEqual([call('app.payments:refund', 'p'), call('app.inventory:release', 'i')])
  expect(run.step).toMatchObject({ kind: 'failed', error: { message: 'no courier' } })
})

test('a call of the saga that fails for good raises at the next line, with its place', () => {
  const run = runLua(saga, [fails(new Error('down'))], { ...workflow, ...order })
  expect(run.step).toMatchObject({
    kind: 'failed',
    error: { kind: 'internal', message: expect.stringContaining('main.lua:5') },
  })
})

test.each([
  [{ approved: true }, call('app.orders:fulfill', 'o-1')],
  [{ approved: false }, call('app.notifications:send_rejection', { order_id: 'o-1' })],
])('the approval of the seed waits for the signal %j and acts on its field', (signal, command) => {
  const run = runLua(approval, [returns(), message('decision', signal), returns()], {
    ...workflow,
    args: [{ order_id: 'o-1' }],
  })
  expect(run.commands).toEqual([call('app.approvals:submit', { order_id: 'o-1' }), command])
  expect(run.step).toEqual({ kind: 'returned', value: undefined })
})

test('a signal that arrives before the approval listens waits for it', () => {
  const run = runLua(approval, [message('decision', { approved: true }), returns()], {
    ...workflow,
    args: [{ order_id: 'o-1' }],
  })
  expect(run.commands[1]).toEqual(call('app.orders:fulfill', 'o-1'))
})

test('the starter of the seed spawns the workflow on its worker and sends to its pid', () => {
  const run = runLua(starter, [], { args: [{ id: 'o-1' }], answers: { spawn: () => peer } })
  expect(run.commands).toEqual([
    { kind: 'spawn', target: 'app.workflows:order_processor', host: 'app:temporal_worker', args: [{ id: 'o-1' }] },
    { kind: 'send', to: expect.objectContaining({ id: peer.id }), topic: 'update', payload: [{ status: 'approved' }] },
  ])
  expect(formatPid(peer)).toMatch(/^\{node-1@app:processes\|/)
})
