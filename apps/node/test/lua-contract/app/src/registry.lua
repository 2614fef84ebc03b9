local check = require("check")
local funcs = require("funcs")
local registry = require("registry")
local time = require("time")
local cases = {}

local function code(text) return "return { main = function(...) " .. text .. " end }" end

local function put(id, source, extra)
  local changes = registry.snapshot():changes()
  local entry = { id = id, kind = "function.lua", meta = extra and extra.meta, data = { source = source, method = "main", modules = extra and extra.modules, imports = extra and extra.imports } }
  if registry.get(id) then changes:update(entry) else changes:create(entry) end
  return changes:apply()
end

cases["get, find and parse_id"] = function()
  local entry = check.ok(registry.get("contract:f.ret"))
  check.eq(entry.id, "contract:f.ret")
  check.eq(entry.kind, "function.lua")
  check.eq(entry.data.method, "ret")
  check.finds(entry.data.source, "function actors.ret")
  check.fails(errors.NOT_FOUND, registry.get("contract:nothing"))
  check.eq(registry.parse_id("a.b:c/d"), { ns = "a.b", name = "c/d" })
  check.eq(#registry.find({ [".kind"] = "process.host" }), 2)
  check.eq(#registry.find({ [".ns"] = "contract", [".name"] = "echo" }), 1)
  check.eq(registry.find({ ["meta.colour"] = "red" })[1].id, "contract:find.me")
  check.eq(registry.find({ ["~meta.colour"] = "^r.d$" })[1].id, "contract:find.me")
  check.eq(registry.find({ ["*meta.colour"] = "e" })[1].id, "contract:find.me")
  check.eq(registry.find({ ["^meta.colour"] = "re" })[1].id, "contract:find.me")
  check.eq(registry.find({ ["$meta.colour"] = "ed" })[1].id, "contract:find.me")
  check.eq(#registry.find({ type = "x" }), #registry.snapshot():entries())
end

cases["snapshots, changes and their texts"] = function()
  local snap = check.ok(registry.snapshot())
  check.eq(snap:get("contract:f.ret").kind, "function.lua")
  check.ok(#snap:namespace("contract") > 10)
  check.eq(#snap:find({ [".name"] = "echo" }), 1)
  check.finds(tostring(snap), "Snapshot")
  check.finds(tostring(snap:version()), "Version")
  check.finds(tostring(registry.history()), "History")
  local changes = snap:changes()
  check.finds(tostring(changes), "Changes")
  check.ok(changes:create({ id = "contract:x", kind = "registry.entry" }) == changes)
  changes:delete("contract:find.me")
  local ops = changes:ops()
  check.eq(ops[1].kind, "entry.create")
  check.eq(ops[1].entry.id, "contract:x")
  check.eq(ops[2].kind, "entry.delete")
  check.fails(errors.INVALID, snap:changes():apply())
end

cases["apply is synchronous: on return the new code answers"] = function()
  for round = 1, 5 do
    local version = check.ok(put("contract:dyn.sync", code("return " .. round)))
    check.eq(registry.current_version():id(), version:id())
    check.eq(funcs.call("contract:dyn.sync"), round)
  end
end

cases["what runs finishes on the old code"] = function()
  put("contract:dyn.slow", [[local time = require("time") return { main = function() time.sleep("60ms") return "old" end }]], { modules = { "time" } })
  local future = funcs.async("contract:dyn.slow")
  time.sleep("10ms")
  put("contract:dyn.slow", code('return "new"'))
  check.eq(funcs.call("contract:dyn.slow"), "new")
  check.eq(future:response():receive():data(), "old")
end

cases["a changed library renews all that import it"] = function()
  local changes = registry.snapshot():changes()
  changes:create({ id = "contract:dyn.lib", kind = "library.lua", data = { source = "return { v = 1 }" } })
  changes:create({ id = "contract:dyn.user", kind = "function.lua", data = { source = 'local lib = require("lib") return { main = function() return lib.v end }', method = "main", imports = { lib = "contract:dyn.lib" } } })
  check.ok(changes:apply())
  check.eq(funcs.call("contract:dyn.user"), 1)
  check.ok(registry.snapshot():changes():update({ id = "contract:dyn.lib", kind = "library.lua", data = { source = "return { v = 2 }" } }):apply())
  check.eq(funcs.call("contract:dyn.user"), 2)
end

cases["a change that does not compile applies nothing"] = function()
  put("contract:dyn.good", code('return "good"'))
  local before = registry.current_version():id()
  local changes = registry.snapshot():changes()
  changes:update({ id = "contract:dyn.good", kind = "function.lua", data = { source = code('return "changed"'), method = "main" } })
  changes:create({ id = "contract:dyn.bad", kind = "function.lua", data = { source = "this is no Lua", method = "main" } })
  local version, err = changes:apply()
  check.eq(version, nil)
  check.ok(err)
  check.eq(registry.current_version():id(), before)
  check.eq(funcs.call("contract:dyn.good"), "good")
  check.fails(errors.NOT_FOUND, registry.get("contract:dyn.bad"))
end

cases["rollback makes the old id current again, later versions stay, ids only grow"] = function()
  put("contract:dyn.roll", code('return "one"'))
  local one = registry.current_version()
  put("contract:dyn.roll", code('return "two"'))
  local two = registry.current_version()
  check.eq(registry.apply_version(one), true)
  check.eq(registry.current_version():id(), one:id())
  check.eq(funcs.call("contract:dyn.roll"), "one")
  check.eq(registry.apply_version(two), true)
  check.eq(funcs.call("contract:dyn.roll"), "two")
  registry.apply_version(one)
  put("contract:dyn.roll", code('return "three"'))
  check.ok(registry.current_version():id() > two:id())
  local versions = registry.versions()
  for i = 2, #versions do check.ok(versions[i]:id() > versions[i - 1]:id()) end
  check.eq(versions[2]:previous():id(), versions[1]:id())
  check.eq(versions[1]:next():id(), versions[2]:id())
  check.eq(versions[1]:previous(), nil)
end

cases["boot is version 0: snapshot_at(0) is an error, the history's works"] = function()
  local value, err = registry.snapshot_at(0)
  check.eq(value, nil)
  check.ok(err)
  local zero = check.ok(registry.history():get_version(0))
  check.eq(zero:id(), 0)
  check.eq(tostring(zero:id()), "0")
  local snap = check.ok(registry.history():snapshot_at(zero))
  check.eq(snap:get("contract:f.ret").kind, "function.lua")
  check.fails(errors.NOT_FOUND, registry.history():get_version(99999))
end

cases["build_delta tells the operations between two states"] = function()
  local ops = check.ok(registry.build_delta(
    { { id = "t:a", kind = "x", meta = {}, data = {} } },
    { { id = "t:b", kind = "x", meta = {}, data = {} } }))
  local seen = {}
  for _, op in ipairs(ops) do seen[op.kind] = op.entry.id end
  check.eq(seen, { ["entry.create"] = "t:b", ["entry.delete"] = "t:a" })
end

cases["a process can be made, run, upgraded to its new definition and removed at run time"] = function()
  local events, news = process.events(), process.listen("says")
  local function define(word)
    return [[local function main(watcher)
      process.send(watcher, "says", "]] .. word .. [[")
      local go = process.listen("go")
      if go:receive() == "end" then return "]] .. word .. [[" end
      process.upgrade(nil, watcher)
    end
    return { main = main }]]
  end
  local id = "contract:dyn.process"
  check.ok(registry.snapshot():changes():create({ id = id, kind = "process.lua", data = { source = define("one"), method = "main" } }):apply())
  local pid = check.ok(process.spawn_monitored(id, "contract:host", process.pid()))
  check.eq(check.receive(news), "one")
  check.ok(registry.snapshot():changes():update({ id = id, kind = "process.lua", data = { source = define("two"), method = "main" } }):apply())
  process.send(pid, "go", "on")
  check.eq(check.receive(news), "two")
  process.send(pid, "go", "end")
  check.eq(check.event(events, process.event.EXIT, pid).result.value, "two")
  check.ok(registry.snapshot():changes():delete(id):apply())
  check.fails(errors.NOT_FOUND, process.spawn(id, "contract:host"))
end

return check.runner(cases)
