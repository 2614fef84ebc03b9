local time = require("time")

local function main(items)
    time.sleep("80ms")
    for _, item in ipairs(items) do
        if item == "unicorn" then
            return {error = "out of stock: unicorn"}
        end
    end
    return {id = "res_" .. #items, count = #items}
end

return {main = main}
