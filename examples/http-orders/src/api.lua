-- Handlers. An error that a handler returns is the answer: Invalid is 400, NotFound 404, Conflict 409.
local http = require("http")
local store = require("store")
local uuid = require("uuid")

local function failed(kind, message)
    return nil, errors.new({message = message, kind = kind})
end

-- POST /orders {id?, customer, amount}: the same id is the same order, however often it is asked for.
local function place()
    local req, res = http.request(), http.response()
    local order, err = req:body_json()
    if err then
        return nil, err
    end
    if type(order) ~= "table" or type(order.customer) ~= "string" or type(order.amount) ~= "number" then
        return failed(errors.INVALID, "an order has a customer (text) and an amount (number)")
    end
    local id = string(order.id or uuid.v7())
    local pid, refused = process.with_options({
        ["workflow.id"] = "order-" .. id,
        ["workflow.id_conflict_policy"] = "use_existing",
        ["workflow.id_reuse_policy"] = "reject_duplicate",
    }):spawn("shop:order", "shop:worker", {id = id, customer = order.customer, amount = order.amount})
    if refused then
        return failed(errors.CONFLICT, "order " .. id .. " is done: " .. refused)
    end
    -- The workflow may have written more already: that stays.
    local orders = store.get("shop:orders")
    local _, unwritten = orders:put(id, {id = id, status = "placed", workflow = pid}, {only_if_absent = true})
    if unwritten and not errors.is(unwritten, errors.ALREADY_EXISTS) then
        return nil, unwritten
    end
    res:set_status(http.STATUS.CREATED)
    res:set_header("Location", "/orders/" .. id)
    res:write_json({id = id, workflow = pid})
end

-- GET /orders/{id}
local function show()
    local id = http.request():param("id")
    local order, err = store.get("shop:orders"):get(id)
    if err then
        return failed(errors.NOT_FOUND, "there is no order " .. id)
    end
    http.response():write_json(order)
end

-- POST /orders/{id}/approve {by}: accepted when the workflow's journal has it.
local function approve()
    local req, res = http.request(), http.response()
    local id = req:param("id")
    local order, err = store.get("shop:orders"):get(id)
    if err then
        return failed(errors.NOT_FOUND, "there is no order " .. id)
    end
    if order.status ~= "placed" and order.status ~= "waiting" then
        return failed(errors.CONFLICT, "order " .. id .. " is " .. order.status)
    end
    local body = req:has_body() and req:body_json() or {}
    local _, unsent = process.send(order.workflow, "approve", {by = body.by or "somebody"})
    if unsent then
        return nil, unsent
    end
    res:set_status(http.STATUS.ACCEPTED)
    res:write_json({id = id, status = "approving"})
end

return {place = place, show = show, approve = approve}
