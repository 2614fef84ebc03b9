local funcs = require("funcs")
local time = require("time")

local function main(parcel)
    time.sleep("8h")
    return funcs.call("app.shipping:create", {id = parcel.order .. "-" .. parcel.parcel})
end

return {main = main}
