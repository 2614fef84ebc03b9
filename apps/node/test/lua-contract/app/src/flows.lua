-- Workflows that the cases run.
local flows = {}

function flows.echo(...)
  return ...
end

function flows.fails()
  return nil, errors.new({ message = "flow failed", kind = errors.CONFLICT, retryable = false })
end

function flows.raises()
  error("flow raised")
end

-- Three increments handled by one coroutine must be done before finish wakes main.
function flows.counter(input)
  local counter = input and input.initial or 0
  local done = false
  coroutine.spawn(function()
    local ch = process.listen("increment", { message = true })
    while not done do
      local msg, ok = ch:receive()
      if not ok then break end
      local data, from = msg:payload():data(), msg:from()
      if type(data) ~= "table" or type(data.amount) ~= "number" then
        process.send(from, "nak", "amount must be a number")
      else
        process.send(from, "ack")
        counter = counter + data.amount
        process.send(from, "ok", { value = counter })
      end
    end
  end)
  process.listen("finish"):receive()
  done = true
  return counter
end

function flows.inbox()
  local inbox = process.inbox()
  local seen = {}
  while true do
    local msg = inbox:receive()
    if msg:topic() == "end" then return seen end
    local p = msg:payload()
    table.insert(seen, { msg:topic(), p and p:data(), msg:from() ~= "" })
  end
end

function flows.waits()
  process.listen("never"):receive()
end

function flows.cancelable()
  local event = process.events():receive()
  return { kind = event.kind, reason = event.reason }
end

function flows.info()
  time.sleep("1ms")
  local info = workflow.info()
  return { info = info, length = workflow.history_length(), size = workflow.history_size(), pid = process.pid(), id = process.id() }
end

function flows.context()
  local funcs = require("funcs")
  return { own = ctx.all(), activity = funcs.call("contract:f.context").all, child = workflow.exec("contract:wf.context_child") }
end

function flows.context_child()
  return ctx.all()
end

function flows.activities()
  local funcs = require("funcs")
  local one = funcs.call("contract:f.ret", "one")
  local future = funcs.async("contract:f.ret", "two")
  local two = future:response():receive():data()
  local three = funcs.new():with_options({
    ["activity.start_to_close_timeout"] = "5s",
    ["temporal.activity.retry_policy"] = { maximum_attempts = 2, initial_interval = "5ms", backoff_coefficient = 1, maximum_interval = 50, non_retryable_error_types = { "Invalid" } },
  }):call("contract:f.ret", "three")
  return { one, two, three }
end

function flows.retries(counter, good, final, types)
  local funcs = require("funcs")
  return funcs.new():with_options({
    ["activity.retry_policy"] = { maximum_attempts = 3, initial_interval = 5, backoff_coefficient = 1.0, non_retryable_error_types = types },
  }):call("contract:flaky", counter, good, final)
end

function flows.unknown_activity()
  local funcs = require("funcs")
  local exec = funcs.new():with_options({ ["activity.retry_policy"] = { maximum_attempts = 1 } })
  local _, err = exec:call("contract:nothing")
  return { kind = err:kind(), retryable = err:retryable() }
end

function flows.activity_errors()
  local funcs = require("funcs")
  local out = {}
  for _, id in ipairs({ "contract:f.fails", "contract:f.raises" }) do
    local _, err = funcs.new():with_options({ ["activity.retry_policy"] = { maximum_attempts = 1 } }):call(id)
    table.insert(out, { err:kind(), err:retryable() })
  end
  return out
end

function flows.activity_timeout()
  local funcs = require("funcs")
  local _, err = funcs.new():with_options({
    ["activity.start_to_close_timeout"] = "30ms", ["activity.retry_policy"] = { maximum_attempts = 1 },
  }):call("contract:sleeps", "10s")
  return err and err:kind()
end

function flows.future_cancel()
  local funcs = require("funcs")
  local future = funcs.async("contract:sleeps", "10s")
  time.sleep("10ms")
  local ok = future:cancel()
  local _, err = future:result()
  return { ok, future:is_canceled(), err:kind(), tostring(err) }
end

function flows.children()
  local events = process.events()
  local a = process.exec("contract:wf.echo", "contract:worker", "by exec")
  local b = workflow.exec("contract:wf.echo", "by workflow.exec")
  local pid = process.spawn("contract:wf.echo", "contract", "by spawn")
  local event = events:receive()
  local _, err = workflow.exec("contract:wf.fails")
  local failing = process.spawn("contract:wf.fails", "contract:worker")
  local failed = events:receive()
  return { a, b, event.kind, event.from == pid, event.result.value, err:kind(), failed.result.error:kind(), failed.from == failing }
end

function flows.child_spawner()
  local events = process.events()
  local pid = process.with_options({}):with_name("contract-child-" .. workflow.info().workflow_id):with_message("increment", { amount = 2 }):spawn("contract:wf.counter", "contract:worker")
  process.send(pid, "increment", { amount = 3 })
  process.send(pid, "finish")
  return events:receive().result.value
end

function flows.refused()
  local out = {}
  for _, name in ipairs({ "link", "unlink", "monitor", "unmonitor" }) do
    local value, err = process[name]("{node@host|1}")
    table.insert(out, { value == nil, err:kind(), string.find(err, "not supported in workflow context") ~= nil })
  end
  return out
end

function flows.talks(pid)
  local answers = process.listen("hello")
  local _, err = process.send("nobody.here", "x")
  process.send(pid, "hello", { from = process.pid() })
  local answer = answers:receive()
  return { answer, err and err:kind() }
end

function flows.timers()
  local t0 = time.now()
  time.sleep("20ms")
  local slept = time.now():sub(t0):milliseconds()
  local after = time.after("10ms"):receive()
  local timer = time.timer("10s")
  local stopped = timer:stop()
  local ticker = time.ticker("5ms")
  local ticks = 0
  for _ = 1, 3 do ticker:channel():receive() ticks = ticks + 1 end
  ticker:stop()
  local ch = channel.new()
  local got = channel.select { ch:case_receive(), time.after("5ms"):case_receive() }
  return { slept >= 20, after ~= nil, stopped, ticks, got.channel ~= ch, time.now():unix() == time.now():unix() }
end

function flows.recorded()
  return { uuid.v4(), crypto.random.string(8), crypto.random.uuid(), time.now():unix_nano() }
end

function flows.versions()
  local a = workflow.version("change", 1, 2)
  local b = workflow.version("change", 1, 2)
  return { a, b }
end

function flows.attrs()
  local ok = workflow.attrs({ search = { status = "on" }, memo = { note = "n" } })
  process.listen("finish"):receive()
  return ok
end

function flows.exits_process(pid)
  return { process.cancel(pid, "from a workflow") }
end

function flows.next(n)
  if n < 3 then process.upgrade(nil, n + 1) end
  return n
end

function flows.query()
  local state = "before"
  workflow.on_query("state", function(prefix) return (prefix or "") .. state end)
  process.listen("finish"):receive()
  return state
end

-- Jobs one by one, each by an activity, until told to stop.
function flows.jobs()
  local funcs = require("funcs")
  local results = {}
  local job_ch = process.listen("add_job")
  local exit_ch = process.listen("exit")
  while true do
    local got = channel.select { job_ch:case_receive(), exit_ch:case_receive() }
    if got.channel == exit_ch then break end
    local value, err = funcs.call("contract:f.ret", { id = got.value.id })
    table.insert(results, { job_id = got.value.id, result = value, err = err and tostring(err) })
  end
  return { total_jobs = #results, results = results }
end

-- Parallel activities, gathered as they end.
function flows.fan_out(n)
  local funcs = require("funcs")
  local results = channel.new(n)
  for i = 1, n do
    coroutine.spawn(function()
      results:send((funcs.call("contract:f.ret", i)))
    end)
  end
  local sum = 0
  for _ = 1, n do sum = sum + results:receive() end
  return sum
end

-- A saga with pcall: what was done is undone in reverse.
function flows.saga()
  local funcs = require("funcs")
  local undo = {}
  local ok, err = pcall(function()
    for _, step in ipairs({ "a", "b" }) do
      local _, failed = funcs.call("contract:f.ret", step)
      if failed then error(failed) end
      table.insert(undo, 1, step)
    end
    local _, failed = funcs.new():with_options({ ["activity.retry_policy"] = { maximum_attempts = 1 } }):call("contract:f.fails")
    if failed then error(failed) end
  end)
  local undone = {}
  for _, step in ipairs(undo) do table.insert(undone, funcs.call("contract:f.ret", "undo " .. step)) end
  return { ok, err:kind(), undone }
end

return flows
