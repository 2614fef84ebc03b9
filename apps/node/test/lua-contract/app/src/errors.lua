local check = require("check")
local funcs = require("funcs")
local cases = {}

local kinds = {
  NOT_FOUND = "NotFound", ALREADY_EXISTS = "AlreadyExists", INVALID = "Invalid", PERMISSION_DENIED = "PermissionDenied",
  UNAVAILABLE = "Unavailable", INTERNAL = "Internal", CANCELED = "Canceled", CONFLICT = "Conflict", TIMEOUT = "Timeout",
  RATE_LIMITED = "RateLimited", UNKNOWN = "",
}

cases["kinds and their texts"] = function()
  for name, text in pairs(kinds) do check.eq(errors[name], text, name) end
end

cases["new, wrap, is and the methods"] = function()
  local plain = errors.new("text")
  check.eq(plain:kind(), errors.UNKNOWN)
  check.eq(plain:message(), "text")
  check.eq(plain:retryable(), nil)
  check.eq(plain:details(), nil)
  check.eq(tostring(plain), "text")
  check.eq(type(plain), "userdata")
  local full = errors.new({ message = "m", kind = errors.CONFLICT, retryable = false, details = { a = 1 } })
  check.eq({ full:kind(), full:retryable(), full:details().a }, { "Conflict", false, 1 })
  check.ok(errors.is(full, errors.CONFLICT))
  check.eq(errors.is(full, errors.INVALID), false)
  check.eq(errors.is("text", errors.INVALID), false)
  local wrapped = errors.wrap(full, "while testing")
  check.eq(wrapped:kind(), errors.CONFLICT)
  check.eq(wrapped:message(), "while testing: m")
  check.eq(errors.wrap("text", "ctx"):message(), "ctx: text")
end

cases["call_stack tells where an error was made"] = function()
  local function maker() return errors.new("here") end
  local stack = errors.call_stack(maker())
  check.ok(stack.frames[1].source)
  check.finds(stack.frames[1].source, "errors.lua")
  check.ok(stack.frames[1].line > 0)
  check.ok(stack.thread)
end

cases["errors concatenate, and string functions take them as subject"] = function()
  local err = errors.new("user not found")
  check.eq("e: " .. err, "e: user not found")
  check.eq(err .. "!", "user not found!")
  check.eq(string.find(err, "not found"), 6)
  check.eq(string.upper(err), "USER NOT FOUND")
  check.eq(string.match(err, "^(%a+)"), "user")
end

cases["error(obj) through pcall is the same object"] = function()
  local err = errors.new({ message = "m", kind = errors.TIMEOUT })
  local ok, caught = pcall(error, err)
  check.eq(ok, false)
  check.ok(caught == err)
  check.eq(caught:kind(), errors.TIMEOUT)
end

cases["every kind survives funcs.call"] = function()
  for _, kind in pairs(kinds) do
    local err = check.fails(kind, funcs.call("contract:f.error_of", kind, true))
    check.eq(err:retryable(), true)
    check.eq(err:details(), { of = kind })
    check.eq(err:message(), "kind " .. kind)
  end
end

cases["every kind survives exec, and EXIT"] = function()
  local events = process.events()
  for _, kind in pairs(kinds) do
    local err = check.fails(kind, process.exec("contract:error_of", "contract:host", kind, false))
    check.eq(err:retryable(), false)
    local pid = process.spawn_monitored("contract:error_of", "contract:host", kind, false)
    local event = check.event(events, process.event.EXIT, pid)
    check.eq(event.result.error:kind(), kind)
    check.eq(event.result.error:retryable(), false)
  end
end

cases["every kind survives an activity and a workflow"] = function()
  for _, kind in pairs(kinds) do
    local err = check.fails(kind, process.exec("contract:wf.error_of_activity", "contract:worker", kind, false))
    check.eq(err:message(), "kind " .. kind)
    check.eq(err:retryable(), false)
    err = check.fails(kind, process.exec("contract:wf.error_of", "contract:worker", kind, false))
    check.eq(err:retryable(), false)
  end
end

cases["a raised error is Internal, with file and line"] = function()
  local err = check.fails(errors.INTERNAL, funcs.call("contract:f.raises"))
  check.finds(tostring(err), "actors.lua:")
  check.finds(tostring(err), "boom")
  check.ok(err:stack())
end

return check.runner(cases)
