-- Starts a child for each parcel and waits for all of them.
local workflow = require("workflow")

local function main(order)
    local shipped = {}
    for _, parcel in ipairs(order.parcels) do
        local result, err = workflow.exec("app.workflows:parcel", {order = order.id, parcel = parcel})
        if err then
            return nil, err
        end
        table.insert(shipped, result.id)
    end
    return {order = order.id, shipped = shipped}
end

return {main = main}
