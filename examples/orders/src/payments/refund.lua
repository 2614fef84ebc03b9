local time = require("time")

local function main(payment_id)
    time.sleep("50ms")
    return {refunded = payment_id}
end

return {main = main}
