local io = require("io")
local funcs = require("funcs")
local time = require("time")

local workers = 4

-- Takes jobs until there are no more; each answer carries the worker's number.
local function work(id, jobs, results)
  while true do
    local n, ok = jobs:receive()
    if not ok then break end
    local square, err = funcs.call("pool:square", n)
    results:send({ worker = id, n = n, square = square, err = err })
  end
end

local function main(count)
  count = tonumber(count or 10)
  local jobs = channel.new(workers)
  local results = channel.new()

  for id = 1, workers do
    coroutine.spawn(function() work(id, jobs, results) end)
  end
  -- Blocks whenever all workers are busy and the buffer is full.
  coroutine.spawn(function()
    for n = 1, count do jobs:send(n) end
    jobs:close()
  end)

  local squares, done_by, total = {}, {}, 0
  local deadline = time.after("10s")
  for _ = 1, count do
    local got = channel.select { results:case_receive(), deadline:case_receive() }
    if got.channel == deadline then return nil, "the workers take too long" end
    local result = got.value
    if result.err then return nil, result.err end
    squares[result.n] = result.square
    done_by[result.worker] = (done_by[result.worker] or 0) + 1
    total = total + result.square
  end

  io.print("squares: " .. table.concat(squares, " "))
  io.print("sum: " .. total)
  local busy = 0
  for _ in pairs(done_by) do busy = busy + 1 end
  io.print("workers that had work: " .. busy)

  local _, err = funcs.call("pool:square", "seven")
  io.print("a bad job: " .. err:kind() .. ", " .. err)
  return 0
end

return { main = main }
