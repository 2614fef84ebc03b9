-- An order from placing to charge. The tag is recorded: after a crash it is the same.
local funcs = require("funcs")
local time = require("time")
local uuid = require("uuid")

local function main(order_data)
    local tag = uuid.v4()
    local placed_at = time.now()
    local inbox = process.inbox()

    local msg = inbox:receive()
    while msg:topic() ~= "update" do
        msg = inbox:receive()
    end
    if msg.status ~= "approved" then
        return {status = msg.status, tag = tag}
    end

    local charge, err = funcs.call("app.api:charge_card", order_data)
    if err then
        return nil, err
    end
    time.sleep("1h")
    local waited = time.now():sub(placed_at)
    return {status = "approved", charge = charge.id, tag = tag, waited_hours = math.floor(waited:hours())}
end

return {main = main}
