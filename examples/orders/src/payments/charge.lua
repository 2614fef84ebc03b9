local time = require("time")

local function main(amount)
    time.sleep("80ms")
    if amount > 1000 then
        return {error = "card declined"}
    end
    return {id = "pay_" .. amount, amount = amount}
end

return {main = main}
