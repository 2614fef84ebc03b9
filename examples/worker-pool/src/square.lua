local time = require("time")

-- Some numbers take longer than others.
local function main(n)
  if type(n) ~= "number" then
    return nil, errors.new({ message = "not a number: " .. tostring(n), kind = errors.INVALID, retryable = false })
  end
  time.sleep((n % 3) * 5 * time.MILLISECOND)
  return n * n
end

return { main = main }
