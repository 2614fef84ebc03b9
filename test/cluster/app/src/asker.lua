local io = require("io")
local system = require("system")
local time = require("time")

local function main(node)
    -- Others are met within a heartbeat.
    for _ = 1, 100 do
        if system.cluster.size() > 1 then break end
        time.sleep("50ms")
    end
    local inbox, events = process.inbox(), process.events()
    local host = node .. "@app:processes"

    local pid = assert(process.spawn_monitored("app:worker", host, 20))
    assert(process.send(pid, "add", 22))
    io.print("seen " .. tostring(inbox:receive():payload():data()))
    io.print("value " .. tostring(events:receive().result.value))

    local failing = assert(process.spawn_monitored("app:worker", host, 0))
    assert(process.send(failing, "fail", 1))
    io.print("error " .. tostring(events:receive().result.error))

    io.print("exec " .. tostring(process.exec("app:worker", "nobody@app:processes", 1) == nil))
    local other = assert(process.spawn_monitored("app:worker", host, 0))
    assert(process.terminate(other))
    io.print("terminated " .. tostring(events:receive().result.error))
    io.print("on " .. tostring(other))
end

return {main = main}
