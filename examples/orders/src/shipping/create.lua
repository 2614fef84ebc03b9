local time = require("time")

local function main(order)
    time.sleep("80ms")
    if order.country == "atlantis" then
        return {error = "no carrier goes to atlantis"}
    end
    return {id = "ship_" .. order.id}
end

return {main = main}
