-- The order itself. Everything up to a line is journaled before the next one runs.
local funcs = require("funcs")
local time = require("time")

local function main(order)
    local function is(status, more)
        local known = {id = order.id, status = status, workflow = process.pid(), customer = order.customer}
        for key, value in pairs(more or {}) do
            known[key] = value
        end
        local _, err = funcs.call("shop:record", known)
        if err then
            error(err)
        end
    end

    local approvals = process.listen("approve")
    is("waiting")

    local decision = channel.select({
        approvals:case_receive(),
        time.after("24h"):case_receive(),
    })
    if decision.channel ~= approvals then
        is("expired")
        return {status = "expired"}
    end

    local by = decision.value.by
    local charge, err = funcs.call("shop:charge", order)
    if err then
        is("refused", {by = by, reason = err:message()})
        return {status = "refused"}
    end
    is("paid", {by = by, charge = charge.id})
    return {status = "paid", charge = charge.id}
end

return {main = main}
