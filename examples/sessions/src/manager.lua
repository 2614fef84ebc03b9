local logger = require("logger")

local function open(user)
  return process.with_context({ user = user })
    :with_name("session." .. user)
    :spawn_linked_monitored("sessions:session", "sessions:processes")
end

local function main()
  process.set_options({ trap_links = true })
  assert(process.registry.register("sessions"))
  local inbox = process.inbox()
  local events = process.events()
  local users = {} -- by pid

  while true do
    local got = channel.select { events:case_receive(), inbox:case_receive() }
    if got.channel == inbox then
      local msg = got.value
      local user = msg.user
      local pid = process.registry.lookup("session." .. user)
      if not pid then
        local err
        pid, err = open(user)
        if err then
          process.send(msg:from(), "refused", tostring(err))
        else
          users[pid] = user
        end
      end
      if pid then process.send(msg:from(), "opened", { user = user, pid = pid }) end
    else
      local event = got.value
      if event.kind == process.event.CANCEL then
        for pid in pairs(users) do process.cancel(pid, event.reason) end
        return
      end
      local user = users[event.from]
      if event.kind == process.event.EXIT and user then
        users[event.from] = nil
        if event.result.error then
          logger:debug("starting anew", { user = user, error = tostring(event.result.error) })
          local pid = open(user)
          if pid then users[pid] = user end
        end
      end
    end
  end
end

return { main = main }
