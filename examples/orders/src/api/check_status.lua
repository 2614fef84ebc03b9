local time = require("time")

-- The bank's answer a day later: some charges bounce.
local function main(charge_id)
    time.sleep("50ms")
    if string.find(charge_id, "bounce") then
        return "failed"
    end
    return "settled"
end

return {main = main}
