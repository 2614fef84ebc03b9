-- Functions that the cases call.
local helpers = {}

function helpers.forward(id, ...)
  local value, err = funcs.call(id, ...)
  return value, err
end

function helpers.sleeps(duration, value)
  time.sleep(duration)
  return value
end

-- Counts calls by name; answers each with the count.
function helpers.counter()
  local count = 0
  local inbox = process.inbox()
  while true do
    local msg = inbox:receive()
    count = count + 1
    process.send(msg:from(), "count", count)
  end
end

-- Fails with the number of its attempt until attempt `good`.
function helpers.flaky(counter, good, final)
  local answers = process.listen("count")
  process.send(counter, "next")
  local attempt = answers:receive()
  if attempt >= good then return "after " .. attempt end
  return nil, errors.new({
    message = "attempt " .. attempt,
    kind = final and errors.INVALID or errors.UNAVAILABLE,
    retryable = not final,
  })
end

return helpers
