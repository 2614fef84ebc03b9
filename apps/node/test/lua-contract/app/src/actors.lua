-- Processes that the cases spawn.
local actors = {}

function actors.ret(...)
  return ...
end

function actors.fails()
  return "dropped", errors.new({ message = "out of stock", kind = errors.CONFLICT, retryable = true, details = { sku = "a" } })
end

function actors.fails_text()
  return nil, "plain text"
end

function actors.raises()
  error("boom")
end

function actors.raises_object()
  error(errors.new({ message = "raised object", kind = errors.RATE_LIMITED, retryable = false }))
end

function actors.raises_in_coroutine()
  coroutine.spawn(function() error("from a coroutine") end)
  process.inbox():receive()
end

function actors.deadlock()
  channel.new():receive()
end

-- Waits in its inbox; "end" ends it, "fail" fails it, anything else is answered with its own topic and values.
function actors.echo()
  local inbox = process.inbox()
  while true do
    local msg = inbox:receive()
    local topic = msg:topic()
    if topic == "end" then return "ended" end
    if topic == "fail" then error("told to fail") end
    local payload = msg:payload()
    process.send(msg:from(), topic, payload and payload:data())
  end
end

-- Opens events only when told; returns the reason of its cancellation.
function actors.late_cancel()
  process.listen("go"):receive()
  local event = process.events():receive()
  return { kind = event.kind, from = event.from, reason = event.reason, at = event.at }
end

function actors.cancelable()
  local event = process.events():receive()
  return event.kind .. ":" .. tostring(event.reason)
end

-- Links to `peer`, tells `watcher`, then waits. With `trap`: returns the event it got.
function actors.linker(peer, watcher, trap)
  if trap then process.set_options({ trap_links = true }) end
  local events = process.events()
  local ok, err = process.link(peer)
  process.send(watcher, "linked", ok == true, err and err:kind())
  local event = events:receive()
  return { kind = event.kind, from = event.from, value = event.result.value, error = event.result.error and event.result.error:message() }
end

function actors.named(name)
  process.registry.register(name)
  process.inbox():receive()
  return "done"
end

-- Everything that is in the inbox up to "end".
function actors.collect()
  local inbox = process.inbox()
  local seen = {}
  while true do
    local msg = inbox:receive()
    if msg:topic() == "end" then return seen end
    local payload = msg:payload()
    table.insert(seen, { msg:topic(), payload and payload:data() })
  end
end

function actors.context()
  local actor = security.actor()
  local scope = security.scope()
  return { all = ctx.all(), actor = actor and actor:id(), scope = scope ~= nil }
end

function actors.identity()
  return { id = process.id(), pid = process.pid() }
end

function actors.spin()
  while true do end
end

function actors.bomb()
  local t = {}
  while true do t[#t + 1] = { #t, tostring(#t) } end
end

-- Becomes `upgraded` when it is told to; carries its state on.
function actors.upgrades(watcher)
  process.registry.register("upgrading")
  process.listen("upgrade"):receive()
  process.upgrade("contract:upgraded", { from = "old", watcher = watcher })
end

function actors.upgraded(state)
  local inbox = process.inbox()
  process.send(state.watcher, "new", { from = state.from, pid = process.pid(), id = process.id() })
  local seen = {}
  while true do
    local msg = inbox:receive()
    if msg:topic() == "end" then return seen end
    if msg:topic() == "fail" then error("upgraded failed") end
    table.insert(seen, msg:topic())
  end
end

function actors.links_to_flow(watcher)
  local flow = process.spawn_linked("contract:wf.waits", "contract:worker")
  process.send(watcher, "flow", flow)
  process.inbox():receive()
end

function actors.watches(pid)
  process.monitor(pid)
  return process.events():receive().result.value
end

return actors
