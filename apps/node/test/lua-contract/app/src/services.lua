-- What entries of the modules' cases point to.
local services = {}

local tried = {}

-- Consumes jobs: tells who asked. The first delivery of `fail_once` fails.
function services.consume(job)
  local message = require("queue").message()
  if job.fail_once then
    local counted = require("store").get("contract:memory")
    if not counted:has("failed_once") then
      counted:set("failed_once", true)
      return nil, errors.new({ message = "not yet", retryable = true })
    end
  end
  process.send(job.to, "consumed", { n = job.n, trace = message:header("trace") })
  return true
end

function services.joins(name)
  local groups = require("pg").open("contract:groups")
  groups:join(name)
  for _, pid in ipairs(groups:get_members(name)) do process.send(pid, "joined", true) end
  process.listen("end"):receive()
end

function services.may()
  local security = require("security")
  return { read = security.can("read", "doc:1"), delete = security.can("delete", "doc:1"), other = security.can("other", "doc:1") }
end

function services.greet(name)
  return "hello " .. name
end

return services
