-- Stands for a payment service. The key is the same however often the call is repeated, so that nobody pays twice.
local ctx = require("ctx")

local function main(order)
    if order.amount > 10000 then
        return nil, errors.new({message = "the card is not good for " .. order.amount, kind = errors.PERMISSION_DENIED, retryable = false})
    end
    return {id = "ch_" .. order.id, key = ctx.get("idempotency_key")}
end

return {main = main}
