local check = require("check")
local time = require("time")
local funcs = require("funcs")
local ctx = require("ctx")
local security = require("security")
local cases = {}

cases["an empty id or one without a colon is Invalid; an unknown one an error"] = function()
  check.fails(errors.INVALID, funcs.call(""))
  check.fails(errors.INVALID, funcs.call("nocolon"))
  check.fails(errors.INVALID, funcs.async(""))
  check.fails(errors.NOT_FOUND, funcs.call("contract:nothing"))
end

cases["a process with a default host is callable; one without is not"] = function()
  check.eq(funcs.call("contract:callable", "v"), "v")
  check.fails(errors.INVALID, funcs.call("contract:ret", "v"))
end

cases["context is inherited by callees; explicit values merge over; executors are immutable"] = function()
  local exec = funcs.new():with_context({ a = 1 })
  local more = exec:with_context({ b = 2, a = 3 })
  check.eq(exec:call("contract:f.context").all, { a = 1 })
  check.eq(more:call("contract:f.context").all, { a = 3, b = 2 })
  check.eq(funcs.call("contract:f.context").all, {})
  -- Two calls deep.
  check.eq(more:call("contract:forward", "contract:f.context").all, { a = 3, b = 2 })
end

cases["actor and scope travel"] = function()
  local seen = funcs.new():with_actor(security.new_actor("jane", { role = "admin" })):with_scope(security.new_scope())
    :call("contract:forward", "contract:f.context")
  check.eq(seen.actor, "jane")
  check.eq(seen.scope, true)
end

cases["unknown option keys are tolerated"] = function()
  check.eq(funcs.new():with_options({ timeout = 5000, key = "x", other = {} }):call("contract:f.ret", 1), 1)
end

cases["a future delivers a payload once, on the same channel"] = function()
  local future = check.ok(funcs.async("contract:f.ret", { n = 1 }))
  check.ok(future:response() == future:channel())
  check.eq(future:is_complete(), false)
  check.eq(future:result(), nil)
  local value, ok = future:response():receive()
  check.eq(ok, true)
  check.eq(value:data(), { n = 1 })
  check.eq(future:is_complete(), true)
  check.eq(future:result():data(), { n = 1 })
  local err, has = future:error()
  check.eq(err, nil)
  check.eq(has, false)
  check.eq(future:is_canceled(), false)
  check.eq(type(future.cancel), "function")
end

cases["a future of a failed call delivers the error object, with ok = true"] = function()
  local future = check.ok(funcs.async("contract:f.fails"))
  local value, ok = future:response():receive()
  check.eq(ok, true)
  check.eq(value:kind(), errors.CONFLICT)
  check.fails(errors.CONFLICT, future:result())
  local err, has = future:error()
  check.eq(has, true)
  check.eq(err:message(), "out of stock")
end

cases["a canceled future says so, and its process is gone"] = function()
  local future = check.ok(funcs.async("contract:f.named", "contract.canceled"))
  time.sleep("20ms")
  check.ok(process.registry.lookup("contract.canceled"))
  check.eq(future:cancel(), true)
  check.eq(future:is_canceled(), true)
  local err = check.fails(errors.CANCELED, future:result())
  check.eq(err:message(), "canceled")
  time.sleep("20ms")
  check.fails(errors.NOT_FOUND, process.registry.lookup("contract.canceled"))
end

cases["futures run in parallel and can be selected"] = function()
  local started = time.now()
  local slow = funcs.async("contract:sleeps", "60ms", "slow")
  local fast = funcs.async("contract:sleeps", "20ms", "fast")
  local first = channel.select { slow:channel():case_receive(), fast:channel():case_receive() }
  check.eq(first.value:data(), "fast")
  check.eq(slow:channel():receive():data(), "slow")
end

cases["a timeout ends a call with Timeout"] = function()
  local exec = funcs.new():with_options({ timeout = 30 })
  local err = check.fails(errors.TIMEOUT, exec:call("contract:sleeps", "10s"))
  check.finds(tostring(err), "30 ms")
  err = check.fails(errors.TIMEOUT, funcs.new():with_options({ timeout = "30ms" }):call("contract:sleeps", "10s"))
end

cases["retries by the caller's options, with backoff"] = function()
  local options = { retry = { max_attempts = 3, initial_delay = 5, backoff_factor = 1 } }
  local name = "contract.flaky." .. time.now():unix_nano()
  local counter = process.with_options({}):with_name(name):spawn("contract:counter", "contract:host")
  check.eq(funcs.new():with_options(options):call("contract:flaky", name, 3), "after 3")
  process.terminate(name)
end

cases["retries end at the last attempt, with the last error"] = function()
  local name = "contract.flaky." .. time.now():unix_nano()
  process.with_options({}):with_name(name):spawn("contract:counter", "contract:host")
  local options = { retry_policy = { maximum_attempts = 2, initial_interval = "5ms" } }
  local err = check.fails(errors.UNAVAILABLE, funcs.new():with_options(options):call("contract:flaky", name, 3))
  check.eq(err:message(), "attempt 2")
  process.terminate(name)
end

cases["an error that is not retryable is not retried"] = function()
  local name = "contract.flaky." .. time.now():unix_nano()
  process.with_options({}):with_name(name):spawn("contract:counter", "contract:host")
  local options = { retry_policy = { maximum_attempts = 5, initial_interval = "5ms" } }
  local err = check.fails(errors.INVALID, funcs.new():with_options(options):call("contract:flaky", name, 3, true))
  check.eq(err:message(), "attempt 1")
  process.terminate(name)
end

cases["meta.options of the callee are the default"] = function()
  local name = "contract.flaky." .. time.now():unix_nano()
  process.with_options({}):with_name(name):spawn("contract:counter", "contract:host")
  check.eq(funcs.call("contract:flaky_by_default", name, 2), "after 2")
  process.terminate(name)
end

cases["pooled functions answer all of many calls at once"] = function()
  local futures = {}
  for i = 1, 20 do futures[i] = check.ok(funcs.async("contract:pooled", "5ms", i)) end
  for i = 1, 20 do check.eq(futures[i]:response():receive():data(), i) end
end

return check.runner(cases)
