local io = require("io")
local time = require("time")

local function receive(ch)
  local timeout = time.after("2s")
  local got = channel.select { ch:case_receive(), timeout:case_receive() }
  if got.channel == timeout then error("no answer within two seconds") end
  return got.value
end

local function main()
  local opened = process.listen("opened")
  local carts = process.listen("cart")
  local byes = process.listen("bye")

  local pids = {}
  for _, user in ipairs({ "ann", "bob" }) do
    process.send("sessions", "open", { user = user })
    pids[user] = receive(opened).pid
  end

  local function add(user, item)
    process.send("session." .. user, "add", { item = item })
    local cart = receive(carts)
    io.print(cart.user .. ": " .. table.concat(cart.items, ", "))
  end
  add("ann", "tea")
  add("bob", "salt")
  add("ann", "milk")

  process.monitor(pids.ann)
  process.send("session.ann", "crash")
  local event = process.events():receive()
  io.print("crashed: " .. string.match(event.result.error, "session of.*"))

  -- Asked for again, the same user meets the session that the manager has started anew.
  local session
  repeat
    time.sleep("5ms")
    process.send("sessions", "open", { user = "ann" })
    session = receive(opened).pid
  until session ~= pids.ann
  add("ann", "honey")

  for _, user in ipairs({ "ann", "bob" }) do
    process.send("session." .. user, "logout")
    local bye = receive(byes)
    io.print("bye " .. bye.user .. ", " .. bye.items .. (bye.items == 1 and " item" or " items"))
  end
  return 0
end

return { main = main }
