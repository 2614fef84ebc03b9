local time = require("time")

local function main(charge_id)
    time.sleep("50ms")
    return {refunded = charge_id}
end

return {main = main}
