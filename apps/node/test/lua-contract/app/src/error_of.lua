local function error_of(kind, retryable)
  return nil, errors.new({ message = "kind " .. kind, kind = kind, retryable = retryable, details = { of = kind } })
end
local function error_of_activity(kind, retryable)
  return require("funcs").call("contract:f.error_of", kind, retryable)
end
return { main = error_of, activity = error_of_activity }
