local function main(start)
    local inbox = process.inbox()
    local msg = inbox:receive()
    process.send(msg:from(), "seen", msg:payload():data())
    if msg:topic() == "fail" then
        error("told to fail")
    end
    return start + msg:payload():data()
end

return {main = main}
