local time = require("time")

local function main(reservation_id)
    time.sleep("50ms")
    return {released = reservation_id}
end

return {main = main}
