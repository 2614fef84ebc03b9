-- Assertions, and a runner of cases by name.
local check = {}

local function show(value, depth)
  if type(value) == "string" then return string.format("%q", value) end
  if type(value) ~= "table" then return tostring(value) end
  if (depth or 0) > 3 then return "{...}" end
  local parts = {}
  for key, inner in pairs(value) do
    table.insert(parts, tostring(key) .. "=" .. show(inner, (depth or 0) + 1))
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end
check.show = show

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

function check.eq(got, want, what)
  if not same(got, want) then
    error((what or "value") .. ": got " .. show(got) .. ", want " .. show(want), 2)
  end
end

function check.ok(value, err)
  if value == nil or value == false then error("got " .. show(value) .. ", " .. tostring(err), 2) end
  return value
end

-- A failure of a kind: `check.fails(errors.INVALID, funcs.call(""))`.
function check.fails(kind, value, err)
  if value ~= nil then error("expected nil, got " .. show(value), 2) end
  if err == nil then error("expected an error", 2) end
  if err:kind() ~= kind then error("kind: got " .. show(err:kind()) .. ", want " .. show(kind) .. ": " .. tostring(err), 2) end
  return err
end

function check.finds(text, part)
  if not string.find(text, part, 1, true) then error(show(tostring(text)) .. " has no " .. show(part), 2) end
end

function check.event(ch, kind, from)
  local got = channel.select { ch:case_receive(), time.after("5s"):case_receive() }
  if got.channel ~= ch then error("no event " .. kind .. " in 5s", 2) end
  if got.value.kind ~= kind then error("event: got " .. show(got.value) .. ", want " .. kind, 2) end
  if from and got.value.from ~= from then error("from: got " .. show(got.value.from) .. ", want " .. from, 2) end
  return got.value
end

function check.receive(ch)
  local got = channel.select { ch:case_receive(), time.after("5s"):case_receive() }
  if got.channel ~= ch then error("nothing received in 5s", 2) end
  return got.value, got.ok
end

function check.silent(ch, how_long)
  local got = channel.select { ch:case_receive(), time.after(how_long or "60ms"):case_receive() }
  if got.channel == ch then error("unexpected: " .. show(got.value), 2) end
end

function check.runner(cases)
  return {
    run = function(name)
      local case = cases[name]
      if not case then error("no case " .. tostring(name)) end
      case()
      return true
    end,
  }
end

return check
