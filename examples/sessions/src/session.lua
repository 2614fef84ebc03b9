local store = require("store")
local ctx = require("ctx")

-- The cart of one user. Saved after each change, so that a crash loses nothing that was answered.
local function main()
  local user = assert(ctx.get("user"))
  local saved = assert(store.get("sessions:saved"))
  local cart = saved:get(user) or {}
  local inbox = process.inbox()
  local events = process.events()

  while true do
    local got = channel.select { inbox:case_receive(), events:case_receive() }
    if got.channel == events then
      -- Cancelled: the manager stops.
      return #cart
    end
    local msg = got.value
    local topic = msg:topic()
    if topic == "add" then
      table.insert(cart, msg.item)
      assert(saved:set(user, cart))
    elseif topic == "logout" then
      saved:delete(user)
      process.send(msg:from(), "bye", { user = user, items = #cart })
      return #cart
    elseif topic == "crash" then
      error("session of " .. user .. " crashed")
    end
    if msg:from() ~= "" then process.send(msg:from(), "cart", { user = user, items = cart }) end
  end
end

return { main = main }
