local io = require("io")
local time = require("time")

-- One question, one answer, or an error after a second.
local function ask(answers, text)
  local ok, err = process.send("echo", "say", text)
  if not ok then return nil, err end
  local timeout = time.after("1s")
  local got = channel.select { answers:case_receive(), timeout:case_receive() }
  if got.channel == timeout then
    return nil, errors.new({ message = "no answer to " .. text, kind = errors.TIMEOUT, retryable = true })
  end
  return got.value
end

-- The service comes back under another pid; its name is what stays.
local function wait_for_another(pid)
  for _ = 1, 100 do
    local now = process.registry.lookup("echo")
    if now and now ~= pid then return now end
    time.sleep("10ms")
  end
  return nil, "the service did not come back"
end

local function main(...)
  local words = { ... }
  if #words == 0 then words = { "hello", "again" } end
  local answers = process.listen("say")

  local first = assert(process.registry.lookup("echo"))
  for _, word in ipairs(words) do
    local answer, err = ask(answers, word)
    if err then return nil, err end
    io.print(answer.n .. ": " .. answer.text)
  end

  process.monitor(first)
  process.send(first, "crash")
  local event = process.events():receive()
  io.print("crashed: " .. string.match(event.result.error, "told.*"))

  local _, err = wait_for_another(first)
  if err then return nil, err end
  local answer
  answer, err = ask(answers, words[1])
  if err then return nil, err end
  io.print("restarted, " .. answer.n .. ": " .. answer.text)
  return 0
end

return { main = main }
