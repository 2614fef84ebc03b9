local time = require("time")

local function main(request)
    time.sleep("80ms")
    return {rejected = request.order_id}
end

return {main = main}
