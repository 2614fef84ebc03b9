-- Writes what is known of an order. Doing it twice is doing it once.
local store = require("store")

local function main(known)
    local _, err = store.get("shop:orders"):set(known.id, known)
    if err then
        return nil, err
    end
    return true
end

return {main = main}
