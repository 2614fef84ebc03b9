local logger = require("logger")

-- Answers each message to its sender, under the same topic, with what was sent.
local function main()
  assert(process.registry.register("echo"))
  local inbox = process.inbox()
  local events = process.events()
  local served = 0

  while true do
    local got = channel.select { inbox:case_receive(), events:case_receive() }
    if got.channel == events then
      if got.value.kind == process.event.CANCEL then
        logger:info("stopping", { served = served })
        return served
      end
    else
      local msg = got.value
      if msg:topic() == "crash" then error("told to crash after " .. served .. " answers") end
      served = served + 1
      process.send(msg:from(), msg:topic(), { n = served, text = msg:payload():data() })
    end
  end
end

return { main = main }
