local time = require("time")

local function main(order_id)
    time.sleep("80ms")
    return {fulfilled = order_id}
end

return {main = main}
