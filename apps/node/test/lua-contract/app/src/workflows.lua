local check = require("check")
local time = require("time")
local funcs = require("funcs")
local cases = {}
local worker = "contract:worker"

local function exec(name, ...) return process.exec("contract:wf." .. name, worker, ...) end
local function unique(prefix) return prefix .. "-" .. time.now():unix_nano() end

cases["exec gives the result of a workflow, or its error"] = function()
  check.eq(exec("echo", { n = 1 }), { n = 1 })
  local err = check.fails(errors.CONFLICT, exec("fails"))
  check.eq(err:message(), "flow failed")
  check.eq(err:retryable(), false)
  check.finds(tostring(check.fails(errors.INTERNAL, exec("raises"))), "flow raised")
end

cases["a monitor of a workflow gets EXIT with the value or the error"] = function()
  local events = process.events()
  local pid = check.ok(process.spawn_monitored("contract:wf.echo", worker, 5))
  check.ok(string.match(pid, "^{.*@?contract:worker|.+}$"), pid)
  check.eq(check.event(events, process.event.EXIT, pid).result.value, 5)
  pid = check.ok(process.spawn_monitored("contract:wf.fails", worker))
  check.eq(check.event(events, process.event.EXIT, pid).result.error:kind(), errors.CONFLICT)
end

cases["activities: call, async and options of both prefixes"] = function()
  check.eq(exec("activities"), { "one", "two", "three" })
end

cases["an activity is retried by the policy of the call"] = function()
  local name = unique("contract.flaky")
  process.with_options({}):with_name(name):spawn("contract:counter", "contract:host")
  check.eq(exec("retries", name, 3), "after 3")
  check.eq(check.fails(errors.UNAVAILABLE, exec("retries", name, 100)):message(), "attempt 6")
  check.eq(check.fails(errors.UNAVAILABLE, exec("retries", name, 100, false, { "Unavailable" })):message(), "attempt 7")
  process.terminate(name)
end

cases["errors of activities: returned as they are, raised Internal, unknown NotFound and retryable"] = function()
  check.eq(exec("activity_errors"), { { "Conflict", true }, { "Internal" } })
  check.eq(exec("unknown_activity"), { kind = "NotFound", retryable = true })
  check.eq(exec("activity_timeout"), "Timeout")
end

cases["a future of an activity can be canceled"] = function()
  check.eq(exec("future_cancel"), { true, true, "Canceled", "canceled" })
end

cases["children: exec, workflow.exec, spawn with EXIT from the child's pid"] = function()
  check.eq(exec("children"), { "by exec", "by workflow.exec", "pid.exit", true, "by spawn", "Conflict", "Conflict", true })
end

cases["a child with name, startup messages and signals from its parent"] = function()
  check.eq(exec("child_spawner"), 5)
end

cases["three increments before finish are all counted, and each sender is answered"] = function()
  local oks = process.listen("ok")
  local events = process.events()
  local pid = check.ok(process.spawn_monitored("contract:wf.counter", worker, { initial = 1 }))
  for _, amount in ipairs({ 2, 1, 4 }) do check.ok(process.send(pid, "increment", { amount = amount })) end
  check.ok(process.send(pid, "finish"))
  check.eq(check.event(events, process.event.EXIT, pid).result.value, 8)
  check.eq({ check.receive(oks).value, check.receive(oks).value, check.receive(oks).value }, { 3, 4, 8 })
end

cases["startup messages come before anything sent later"] = function()
  local events = process.events()
  local spawner = process.with_options({}):with_message("first", { n = 1 }):with_message("second", 2)
  local pid = check.ok(spawner:spawn_monitored("contract:wf.inbox", worker))
  process.send(pid, "third")
  process.send(pid, "end")
  check.eq(check.event(events, process.event.EXIT, pid).result.value,
    { { "first", { n = 1 }, true }, { "second", 2, true }, { "third", nil, true } })
end

cases["with_name is identity: the running one is met, its input stays, startup messages arrive"] = function()
  local name = unique("counter")
  local named = process.with_options({}):with_name(name)
  local events = process.events()
  local pid = check.ok(named:with_message("increment", { amount = 3 }):spawn_monitored("contract:wf.counter", worker, { initial = 0 }))
  local again = check.ok(named:with_message("increment", { amount = 2 }):spawn("contract:wf.counter", worker, { initial = 999 }))
  check.eq(again, pid)
  process.send(pid, "finish")
  check.eq(check.event(events, process.event.EXIT, pid).result.value, 5)
end

cases["id conflict policies: use_existing, fail, the error flag, terminate_existing"] = function()
  for _, prefix in ipairs({ "workflow.", "temporal.workflow." }) do
    local id = unique("conflict")
    local function with(options)
      options[prefix .. "id"] = id
      return process.with_options(options)
    end
    local events = process.events()
    local pid = check.ok(with({}):spawn_monitored("contract:wf.waits", worker))
    check.eq(with({}):spawn("contract:wf.waits", worker), pid)
    check.eq(with({ [prefix .. "id_conflict_policy"] = "use_existing" }):spawn("contract:wf.waits", worker), pid)
    check.fails(errors.ALREADY_EXISTS, with({ [prefix .. "id_conflict_policy"] = "fail" }):spawn("contract:wf.waits", worker))
    check.fails(errors.ALREADY_EXISTS, with({ [prefix .. "execution_error_when_already_started"] = true }):spawn("contract:wf.waits", worker))
    local fresh = check.ok(with({ [prefix .. "id_conflict_policy"] = "terminate_existing" }):spawn("contract:wf.waits", worker))
    check.eq(check.event(events, process.event.EXIT, pid).result.error:kind(), errors.CANCELED)
    check.ok(process.terminate(fresh))
  end
end

cases["options that a worker does not know are tolerated"] = function()
  local pid = check.ok(process.with_options({
    ["workflow.task_timeout"] = "30s",
    ["workflow.retry_policy"] = { initial_interval = 1000, maximum_attempts = 3 },
    ["workflow.summary"] = "s",
    ["workflow.priority"] = { key = 1 },
    ["workflow.memo"] = { source = "api" },
    ["workflow.search_attributes"] = { customer = "c" },
    ["workflow.execution_timeout"] = "1h",
  }):spawn_monitored("contract:wf.echo", worker, 1))
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.value, 1)
end

cases["execution_timeout ends a workflow with Timeout"] = function()
  local pid = check.ok(process.with_options({ ["workflow.execution_timeout"] = "50ms" }):spawn_monitored("contract:wf.waits", worker))
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.error:kind(), errors.TIMEOUT)
end

cases["terminate: EXIT and LINK_DOWN with Canceled"] = function()
  process.set_options({ trap_links = true })
  local pid = check.ok(process.spawn_linked_monitored("contract:wf.waits", worker))
  check.eq(process.terminate(pid), true)
  local kinds = {}
  for _ = 1, 2 do
    local event = check.receive(process.events())
    check.eq(event.from, pid)
    check.eq(event.result.error:kind(), errors.CANCELED)
    kinds[event.kind] = true
  end
  check.eq(kinds, { ["pid.exit"] = true, ["pid.link.down"] = true })
end

cases["cancel is an event in the workflow"] = function()
  local pid = check.ok(process.spawn_monitored("contract:wf.cancelable", worker))
  check.eq(process.cancel(pid, "enough"), true)
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.value, { kind = "pid.cancel", reason = "enough" })
end

cases["monitor, unmonitor, link and unlink of a workflow that runs"] = function()
  process.set_options({ trap_links = true })
  local pid = check.ok(process.spawn("contract:wf.waits", worker))
  check.eq(process.monitor(pid), true)
  check.eq(process.unmonitor(pid), true)
  check.eq(process.link(pid), true)
  check.eq(process.unlink(pid), true)
  process.terminate(pid)
  check.silent(process.events())
end

cases["send, cancel, monitor to a workflow that is gone is NotFound"] = function()
  local pid = check.ok(process.spawn_monitored("contract:wf.echo", worker, 1))
  check.event(process.events(), process.event.EXIT, pid)
  check.finds(tostring(check.fails(errors.NOT_FOUND, process.send(pid, "t"))), "not found")
  check.fails(errors.NOT_FOUND, process.send("{node@contract:worker|nobody}", "t"))
end

cases["link and monitor are not for workflows"] = function()
  local row = { true, "Invalid", true }
  check.eq(exec("refused"), { row, row, row, row })
end

cases["a workflow talks with a process, and learns nothing of the missing"] = function()
  local pid = check.ok(process.spawn("contract:echo", "contract:host"))
  local got = check.ok(exec("talks", pid))
  check.finds(got[1].from, "contract:worker")
  process.terminate(pid)
end

cases["a workflow can cancel a process"] = function()
  local pid = check.ok(process.spawn_monitored("contract:cancelable", "contract:host"))
  check.ok(exec("exits_process", pid))
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.value, "pid.cancel:from a workflow")
end

cases["context carries over to the workflow, its activities and children"] = function()
  local want = { tenant = "t1", request_id = "r" }
  local pid = check.ok(process.with_context(want):spawn_monitored("contract:wf.context", worker))
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.value, { own = want, activity = want, child = want })
end

cases["info and history"] = function()
  local id = unique("info")
  local pid = check.ok(process.with_options({ ["workflow.id"] = id }):spawn_monitored("contract:wf.info", worker))
  local seen = check.event(process.events(), process.event.EXIT, pid).result.value
  check.eq(seen.info.workflow_id, id)
  check.eq(seen.info.workflow_type, "contract:wf.info")
  check.eq(seen.info.task_queue, "contract")
  check.ok(seen.info.namespace ~= "")
  check.eq(seen.info.attempt, 1)
  check.ok(seen.info.run_id ~= "")
  check.ok(seen.length >= 1 and seen.size > 0)
  check.eq(seen.pid, pid)
  check.eq(seen.id, "contract:wf.info")
end

cases["timers, tickers and selects with timeouts"] = function()
  check.eq(exec("timers"), { true, true, true, 3, true, true })
end

cases["uuid, crypto and time work in workflows"] = function()
  local seen = exec("recorded")
  check.eq(#seen[1], 36)
  check.eq(#seen[2], 8)
  check.eq(#seen[3], 36)
  check.ok(tonumber(seen[4]) > 1.6e18)
end

cases["version is fixed for the run"] = function()
  check.eq(exec("versions"), { 2, 2 })
end

cases["attrs are set"] = function()
  local pid = check.ok(process.spawn_monitored("contract:wf.attrs", worker))
  process.send(pid, "finish")
  check.eq(check.event(process.events(), process.event.EXIT, pid).result.value, true)
end

cases["upgrade goes on as a new run"] = function()
  check.eq(exec("next", 1), 3)
end

cases["a workflow that is no workflow entry, on a worker, is refused"] = function()
  check.fails(errors.INVALID, process.spawn("contract:ret", worker))
  check.fails(errors.INVALID, process.spawn("contract:wf.echo", "contract:host"))
  check.fails(errors.NOT_FOUND, process.spawn("contract:wf.nothing", worker))
end

cases["a select over signals and activities, in the manner of a job queue"] = function()
  local pid = check.ok(process.spawn_monitored("contract:wf.jobs", worker))
  for i = 1, 5 do check.ok(process.send(pid, "add_job", { id = i })) end
  check.ok(process.send(pid, "exit"))
  local value = check.event(process.events(), process.event.EXIT, pid).result.value
  check.eq(value.total_jobs, 5)
  for i = 1, 5 do check.eq(value.results[i], { job_id = i, result = { id = i } }) end
end

cases["activities in parallel coroutines, and a saga in pcall"] = function()
  check.eq(exec("fan_out", 20), 210)
  check.eq(exec("saga"), { false, "Conflict", { "undo b", "undo a" } })
end

cases["a link without trap brings the process down with the workflow"] = function()
  local pid = check.ok(process.spawn_monitored("contract:links_to_flow", "contract:host", process.pid()))
  local flow = process.listen("flow"):receive()
  process.terminate(flow)
  local event = check.event(process.events(), process.event.EXIT, pid)
  check.eq(event.result.error:kind(), errors.CANCELED)
end

cases["two watch one workflow, and a chain of spawner calls keeps everything"] = function()
  local id = unique("chain")
  local spawner = process.with_context({ tenant = "t" }):with_options({ ["workflow.id"] = id, ["workflow.id_conflict_policy"] = "fail" })
  local pid = check.ok(spawner:with_message("increment", { amount = 4 }):spawn("contract:wf.counter", worker, { initial = 1 }))
  local other = check.ok(process.spawn_monitored("contract:watches", "contract:host", pid))
  time.sleep("10ms")
  check.ok(process.monitor(pid))
  check.ok(process.send(pid, "finish"))
  local seen = {}
  for _ = 1, 2 do
    local event = check.event(process.events(), process.event.EXIT)
    seen[event.from] = event.result.value
  end
  check.eq(seen, { [pid] = 5, [other] = 5 })
end

return check.runner(cases)
