-- daruma run examples/orders place <order id>
local io = require("io")

local function main(order_id)
    if not order_id then
        io.eprint("usage: place <order id>")
        return 2
    end
    local order_data = {id = order_id, amount = 42, card = "tok_visa"}
    local spawner = process.with_options({}):with_name(order_id)

    local pid, err = spawner:spawn_monitored("app.workflows:order_processor", "app:temporal_worker", order_data)
    if err then
        io.eprint("cannot place " .. order_id .. ": " .. tostring(err))
        return 1
    end
    io.print("placed " .. order_id .. " as " .. pid)

    process.send(pid, "update", {status = "approved"})
    io.print("approved it; waiting for its end")

    local event = process.events():receive()
    if event.result.error then
        io.eprint("failed: " .. tostring(event.result.error))
        return 1
    end
    io.print("it is " .. event.result.value.status .. ", charged as " .. event.result.value.charge)
    return 0
end

return {main = main}
