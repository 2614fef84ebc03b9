-- Keeps the sessions of users while it lives. Its supervisor starts it again when it dies.
local function main()
    local inbox = process.inbox()
    local events = process.events()
    local sessions = {}

    while true do
        local got = channel.select{inbox:case_receive(), events:case_receive()}
        if got.channel == events then
            if got.value.kind == process.event.CANCEL then
                return
            end
        else
            local msg = got.value
            if msg:topic() == "open" then
                sessions[msg.user] = (sessions[msg.user] or 0) + 1
            elseif msg:topic() == "count" then
                process.send(msg:from(), "count", sessions[msg.user] or 0)
            end
        end
    end
end

return {main = main}
