---@meta

---Standard Base64 (RFC 4648, with padding).
---@class base64lib
base64 = {}

---`base64.encode(data) -> text | nil, error`
---Of bytes.
---@param data any
---@return any
---@return any error
function base64.encode(data) end

---`base64.decode(text) -> bytes | nil, error`
---Invalid for anything that is not Base64.
---@param text any
---@return any
---@return any error
function base64.decode(text) end

---Compression: gzip, zlib, raw deflate, brotli.
---@class compresslib
compress = {}

compress.gzip = {}

---`compress.gzip.encode(data, {level}?) -> bytes | nil, error`
---Also compress.zlib, compress.deflate and compress.brotli. Levels 1-9, of brotli 0-11; 6 unless said otherwise.
---@param data any
---@param arg2? any
---@return any
---@return any error
function compress.gzip.encode(data, arg2) end

---`compress.gzip.decode(data, {max_size}?) -> bytes | nil, error`
---Also compress.zlib, compress.deflate and compress.brotli. At most max_size bytes (128 MiB): beyond, Internal.
---@param data any
---@param arg2? any
---@return any
---@return any error
function compress.gzip.decode(data, arg2) end

---Services by contract: a binding says which function answers which method.
---@class contractlib
contract = {}

---`contract.open(binding, scope?, options?) -> instance | nil, error`
---`instance:method(...)` calls, `instance:method_async(...)` gives a future. `binding?key=value` adds context.
---@param binding any
---@param scope? any
---@param options? any
---@return any
---@return any error
function contract.open(binding, scope, options) end

---`contract.get(id) -> contract | nil, error`
---`id() methods() method(name) implementations() with_context(t) with_actor(a) with_scope(s) with_options(t) open(binding?, scope?)`.
---@param id any
---@return any
---@return any error
function contract.get(id) end

---`contract.find_implementations(id) -> ids | nil, error`
---@param id any
---@return any
---@return any error
function contract.find_implementations(id) end

---`contract.is(instance, id) -> boolean`
---@param instance any
---@param id any
---@return any
function contract.is(instance, id) end

---Random values, encryption, signatures; in a workflow, the same random bytes on every replay.
---@class cryptolib
crypto = {}

crypto.random = {}

---`crypto.random.bytes(length) -> bytes | nil, error`
---1 to 1,048,576.
---@param length any
---@return any
---@return any error
function crypto.random.bytes(length) end

---`crypto.random.string(length, charset?) -> text | nil, error`
---Letters and digits unless said otherwise.
---@param length any
---@param charset? any
---@return any
---@return any error
function crypto.random.string(length, charset) end

---`crypto.random.uuid() -> text`
---Version 4.
---@return any
function crypto.random.uuid() end

crypto.hmac = {}

---`crypto.hmac.sha256|sha512(key, data) -> hex | nil, error`
---@param key any
---@param data any
---@return any
---@return any error
function crypto.hmac.sha256(key, data) end

---`crypto.hmac.sha256|sha512(key, data) -> hex | nil, error`
---@param key any
---@param data any
---@return any
---@return any error
function crypto.hmac.sha512(key, data) end

crypto.encrypt = {}

---`crypto.encrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error`
---AES-GCM by key size, ChaCha20-Poly1305; the nonce comes first.
---@param data any
---@param key any
---@param aad? any
---@return any
---@return any error
function crypto.encrypt.aes(data, key, aad) end

---`crypto.encrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error`
---AES-GCM by key size, ChaCha20-Poly1305; the nonce comes first.
---@param data any
---@param key any
---@param aad? any
---@return any
---@return any error
function crypto.encrypt.chacha20(data, key, aad) end

crypto.decrypt = {}

---`crypto.decrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error`
---@param data any
---@param key any
---@param aad? any
---@return any
---@return any error
function crypto.decrypt.aes(data, key, aad) end

---`crypto.decrypt.aes|chacha20(data, key, aad?) -> bytes | nil, error`
---@param data any
---@param key any
---@param aad? any
---@return any
---@return any error
function crypto.decrypt.chacha20(data, key, aad) end

crypto.jwt = {}

---`crypto.jwt.encode(claims, key, algorithm?) -> text | nil, error`
---HS256, HS384, HS512, RS256.
---@param claims any
---@param key any
---@param algorithm? any
---@return any
---@return any error
function crypto.jwt.encode(claims, key, algorithm) end

---`crypto.jwt.verify(token, key, algorithm?, require_exp?) -> claims | nil, error`
---exp and nbf by the program's clock.
---@param token any
---@param key any
---@param algorithm? any
---@param require_exp? any
---@return any
---@return any error
function crypto.jwt.verify(token, key, algorithm, require_exp) end

---`crypto.pbkdf2(password, salt, iterations, key_length, hash?) -> bytes | nil, error`
---@param password any
---@param salt any
---@param iterations any
---@param key_length any
---@param hash? any
---@return any
---@return any error
function crypto.pbkdf2(password, salt, iterations, key_length, hash) end

---`crypto.constant_time_compare(a, b) -> boolean`
---@param a any
---@param b any
---@return any
function crypto.constant_time_compare(a, b) end

---Values that came along with the call.
---@class ctxlib
ctx = {}

---`ctx.get(key) -> value | nil, error`
---Invalid for an empty key, NotFound for a missing one.
---@param key any
---@return any
---@return any error
function ctx.get(key) end

---`ctx.all() -> table`
---All of them.
---@return any
function ctx.all() end

---`ctx.activity() -> {idempotency_key, attempt, workflow_id, heartbeat} | nil`
---Which execution of an activity this is; nil outside of one. The key is the same for every attempt.
---@return any
function ctx.activity() end

---`ctx.heartbeat(details?) -> true | nil, error`
---Tells that the activity is alive; the next attempt sees the details.
---@param details? any
---@return any
---@return any error
function ctx.heartbeat(details) end

---Variables that the app lets its programs see.
---@class envlib
env = {}

---`env.get(key) -> text | nil, error`
---Invalid for an empty key, NotFound for a missing one.
---@param key any
---@return any
---@return any error
function env.get(key) end

---`env.set(key, value) -> true | nil, error`
---@param key any
---@param value any
---@return any
---@return any error
function env.set(key, value) end

---`env.get_all() -> table | nil, error`
---@return any
---@return any error
function env.get_all() end

---Errors with a kind, retryability and details.
---@class errorslib
errors = {}

---`errors.new(text | {message, kind?, retryable?, details?}) -> error`
---Makes an error; without a kind it is UNKNOWN.
---@param arg1 any
---@param kind? any
---@param retryable? any
---@param arg4 any
---@return any
---@return any error
function errors.new(arg1, kind, retryable, arg4) end

---`errors.wrap(error | text, context) -> error`
---"context: message", with kind, retryability and details kept.
---@param arg1 any
---@param context any
---@return any
---@return any error
function errors.wrap(arg1, context) end

---`errors.is(value, kind) -> boolean`
---True for an error object of that kind.
---@param value any
---@param kind any
---@return any
function errors.is(value, kind) end

---`errors.call_stack(error) -> {thread, frames = {{source, line, name}}} | nil`
---Where it was made.
---@param error any
---@return any
function errors.call_stack(error) end

---Runs program text that comes as data, in a state of its own.
---@class eval_runnerlib
eval_runner = {}

---`eval_runner.run({source, method?, args?, modules?, imports?, context?}) -> result | nil, error`
---Only the listed modules can be required. The values of context are read with `ctx.get`.
---@param arg1 any
---@param method? any
---@param args? any
---@param modules? any
---@param imports? any
---@param arg6 any
---@return any
---@return any error
function eval_runner.run(arg1, method, args, modules, imports, arg6) end

---The event bus: best effort, for watching.
---@class eventslib
events = {}

---`events.subscribe(system, kind?) -> subscription | nil, error`
---Patterns of dotted segments: `*` one, `**` any number, `(a|b)` alternatives.
---@param system any
---@param kind? any
---@return any
---@return any error
function events.subscribe(system, kind) end

---`events.send(system, kind, path, data?) -> true | nil, error`
---None of the three may be empty.
---@param system any
---@param kind any
---@param path any
---@param data? any
---@return any
---@return any error
function events.send(system, kind, path, data) end

---Expressions over data: rules and filters without a program.
---@class exprlib
expr = {}

---`expr.eval(expression, env?) -> value | nil, error`
---Operators `+ - * / % ** == != < > <= >= && || ! ?? ?: in contains startsWith endsWith matches ..`, lists, maps, `|`, and functions such as len, max, sum, filter, map, any.
---@param expression any
---@param env? any
---@return any
---@return any error
function expr.eval(expression, env) end

---`expr.compile(expression) -> program | nil, error`
---`program:run(env?)`.
---@param expression any
---@return any
---@return any error
function expr.compile(expression) end

---Files below a named directory of the app.
---@class fslib
fs = {}

---`fs.get(id) -> volume | nil, error`
---A directory entry. Paths cannot leave it.
---@param id any
---@return any
---@return any error
function fs.get(id) end

---Calls functions; in a workflow, activities.
---@class funcslib
funcs = {}

---`funcs.call(id, ...) -> result | nil, error`
---Calls a function and waits.
---@param id any
---@param ... any
---@return any
---@return any error
function funcs.call(id, ...) end

---`funcs.async(id, ...) -> future | nil, error`
---Starts a call and goes on.
---@param id any
---@param ... any
---@return any
---@return any error
function funcs.async(id, ...) end

---`funcs.new() -> executor`
---With `with_context`, `with_actor`, `with_scope`, `with_options`, `call`, `async`.
---@return any
function funcs.new() end

---Digests, keyed digests and FNV hashes.
---@class hashlib
hash = {}

---`hash.md5|sha1|sha256|sha512(data, raw?) -> text | nil, error`
---Hex, or the bytes when raw is true.
---@param data any
---@param raw? any
---@return any
---@return any error
function hash.md5(data, raw) end

---`hash.md5|sha1|sha256|sha512(data, raw?) -> text | nil, error`
---Hex, or the bytes when raw is true.
---@param data any
---@param raw? any
---@return any
---@return any error
function hash.sha1(data, raw) end

---`hash.md5|sha1|sha256|sha512(data, raw?) -> text | nil, error`
---Hex, or the bytes when raw is true.
---@param data any
---@param raw? any
---@return any
---@return any error
function hash.sha256(data, raw) end

---`hash.md5|sha1|sha256|sha512(data, raw?) -> text | nil, error`
---Hex, or the bytes when raw is true.
---@param data any
---@param raw? any
---@return any
---@return any error
function hash.sha512(data, raw) end

---`hash.hmac_md5|hmac_sha1|hmac_sha256|hmac_sha512(data, secret, raw?) -> text | nil, error`
---Keyed.
---@param data any
---@param secret any
---@param raw? any
---@return any
---@return any error
function hash.hmac_md5(data, secret, raw) end

---`hash.hmac_md5|hmac_sha1|hmac_sha256|hmac_sha512(data, secret, raw?) -> text | nil, error`
---Keyed.
---@param data any
---@param secret any
---@param raw? any
---@return any
---@return any error
function hash.hmac_sha1(data, secret, raw) end

---`hash.hmac_md5|hmac_sha1|hmac_sha256|hmac_sha512(data, secret, raw?) -> text | nil, error`
---Keyed.
---@param data any
---@param secret any
---@param raw? any
---@return any
---@return any error
function hash.hmac_sha256(data, secret, raw) end

---`hash.hmac_md5|hmac_sha1|hmac_sha256|hmac_sha512(data, secret, raw?) -> text | nil, error`
---Keyed.
---@param data any
---@param secret any
---@param raw? any
---@return any
---@return any error
function hash.hmac_sha512(data, secret, raw) end

---`hash.fnv32(data) -> integer`
---FNV-1, 32 bits.
---@param data any
---@return any
function hash.fnv32(data) end

---`hash.fnv64(data) -> integer | text`
---FNV-1, 64 bits; decimal text where a number would not be exact.
---@param data any
---@return any
function hash.fnv64(data) end

---`hash.pbkdf2(password, salt, iterations, key_length, hash?) -> bytes | nil, error`
---sha256 unless "sha512".
---@param password any
---@param salt any
---@param iterations any
---@param key_length any
---@param hash? any
---@return any
---@return any error
function hash.pbkdf2(password, salt, iterations, key_length, hash) end

---The HTTP request that this program serves, and its answer.
---@class httplib
http = {}

---`http.request() -> request | nil, error`
---`method() path() query(key) query_params() header(name) headers() content_type() content_length() host() param(name) params() body() body_json() has_body() is_content_type(type) accepts(type) remote_addr()`.
---@return any
---@return any error
function http.request() end

---`http.response() -> response | nil, error`
---`set_status(code) set_header(name, value) set_content_type(type) set_transfer(mode) write(text) write_json(value) write_event({name, data}) flush()`; each true, or nil and an error.
---@return any
---@return any error
function http.response() end

---Requests to other servers.
---@class http_clientlib
http_client = {}

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.get(url, options) end

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.head(url, options) end

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.post(url, options) end

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.put(url, options) end

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.patch(url, options) end

---`http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error`
---options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.delete(url, options) end

---`http_client.request(method, url, options?) -> response | nil, error`
---Any method.
---@param method any
---@param url any
---@param options? any
---@return any
---@return any error
function http_client.request(method, url, options) end

---`http_client.encode_uri(text), decode_uri(text) -> text | nil, error`
---@param text any
---@return any
---@return any error
function http_client.encode_uri(text) end

---`http_client.encode_uri(text), decode_uri(text) -> text | nil, error`
---@param text any
---@return any
---@return any error
function http_client.decode_uri(text) end

---The terminal of a command.
---@class iolib
io = {}

---`io.write(...) -> true | nil, error`
---Without anything in between or at the end.
---@param ... any
---@return any
---@return any error
function io.write(...) end

---`io.print(...), io.eprint(...) -> true | nil, error`
---With tabs in between and a newline; to stdout, to stderr.
---@param ... any
---@return any
---@return any error
function io.print(...) end

---`io.print(...), io.eprint(...) -> true | nil, error`
---With tabs in between and a newline; to stdout, to stderr.
---@param ... any
---@return any
---@return any error
function io.eprint(...) end

---`io.flush() -> true | nil, error`
---@return any
---@return any error
function io.flush() end

---`io.read(count?) -> bytes | nil, error`
---Up to count bytes (1024); empty at the end.
---@param count? any
---@return any
---@return any error
function io.read(count) end

---`io.readline() -> text | nil`
---nil at the end.
---@return any
function io.readline() end

---`io.args() -> table`
---What stood on the command line.
---@return any
function io.args() end

---JSON text to values and back.
---@class jsonlib
json = {}

---`json.encode(value, {indent = text | number}?) -> text | nil, error`
---Tables 1..n are arrays, tables with text keys objects, an empty table `[]`. Mixed, sparse and recursive tables are errors.
---@param value any
---@param arg2? any
---@return any
---@return any error
function json.encode(value, arg2) end

---`json.decode(text) -> value | nil, error`
---null is nil; numbers without a fraction print without one.
---@param text any
---@return any
---@return any error
function json.decode(text) end

---Log records with fields; pid and entry come by themselves.
---@class loggerlib
logger = {}

---`logger:debug|info|warn|error(message, fields?)`
---Writes a record.
---@param message any
---@param fields? any
function logger:debug(message, fields) end

---`logger:debug|info|warn|error(message, fields?)`
---Writes a record.
---@param message any
---@param fields? any
function logger:info(message, fields) end

---`logger:debug|info|warn|error(message, fields?)`
---Writes a record.
---@param message any
---@param fields? any
function logger:warn(message, fields) end

---`logger:debug|info|warn|error(message, fields?)`
---Writes a record.
---@param message any
---@param fields? any
function logger:error(message, fields) end

---`logger:with(fields) -> logger`
---A logger that adds these fields to each record.
---@param fields any
---@return any
function logger:with(fields) end

---`logger:named(name) -> logger | nil, error`
---A logger of that name, below its parent's.
---@param name any
---@return any
---@return any error
function logger:named(name) end

---Counters, gauges and histograms.
---@class metricslib
metrics = {}

---`metrics.counter_inc(name, labels?), counter_add(name, value, labels?) -> true | nil, error`
---@param name any
---@param labels? any
---@return any
---@return any error
function metrics.counter_inc(name, labels) end

---`metrics.counter_inc(name, labels?), counter_add(name, value, labels?) -> true | nil, error`
---@param name any
---@param labels? any
---@return any
---@return any error
function metrics.counter_add(name, labels) end

---`metrics.gauge_set(name, value, labels?), gauge_inc(name, labels?), gauge_dec(name, labels?) -> true | nil, error`
---@param name any
---@param value any
---@param labels? any
---@return any
---@return any error
function metrics.gauge_set(name, value, labels) end

---`metrics.gauge_set(name, value, labels?), gauge_inc(name, labels?), gauge_dec(name, labels?) -> true | nil, error`
---@param name any
---@param value any
---@param labels? any
---@return any
---@return any error
function metrics.gauge_inc(name, value, labels) end

---`metrics.gauge_set(name, value, labels?), gauge_inc(name, labels?), gauge_dec(name, labels?) -> true | nil, error`
---@param name any
---@param value any
---@param labels? any
---@return any
---@return any error
function metrics.gauge_dec(name, value, labels) end

---`metrics.histogram(name, value, labels?) -> true | nil, error`
---@param name any
---@param value any
---@param labels? any
---@return any
---@return any error
function metrics.histogram(name, value, labels) end

---Values together with the format that they are in.
---@class payloadlib
payload = {}

---`payload.new(value) -> payload`
---Wraps a value; of an error the format is ERROR, else LUA.
---@param value any
---@return any
function payload.new(value) end

---`payload:data(), payload:unmarshal() -> value`
---The value, decoded if need be.
---@return any
function payload:data() end

---`payload:data(), payload:unmarshal() -> value`
---The value, decoded if need be.
---@return any
function payload:unmarshal() end

---`payload:get_format() -> text`
---One of payload.format.
---@return any
function payload:get_format() end

---`payload:transcode(format) -> payload | nil, error`
---The same value in another format.
---@param format any
---@return any
---@return any error
function payload:transcode(format) end

---Process groups across the cluster.
---@class pglib
pg = {}

---`pg.open(scope_id) -> groups | nil, error`
---The groups of a pg.scope entry.
---@param scope_id any
---@return any
---@return any error
function pg.open(scope_id) end

---Processes and workflows: who am I, send, spawn, watch, receive.
---@class processlib
process = {}

---`process.id() -> text`
---The registry id of the running entry.
---@return any
function process.id() end

---`process.pid() -> text`
---The pid of this process: the same text each time.
---@return any
function process.pid() end

---`process.send(dest, topic, ...) -> true | nil, error`
---Sends values to a pid or a registered name. Topics are not empty and do not start with "@".
---@param dest any
---@param topic any
---@param ... any
---@return any
---@return any error
function process.send(dest, topic, ...) end

---`process.spawn(id, host, ...) -> pid | nil, error`
---Starts a process or workflow.
---@param id any
---@param host any
---@param ... any
---@return any
---@return any error
function process.spawn(id, host, ...) end

---`process.spawn_monitored(id, host, ...) -> pid | nil, error`
---As spawn; its end arrives as an EXIT event.
---@param id any
---@param host any
---@param ... any
---@return any
---@return any error
function process.spawn_monitored(id, host, ...) end

---`process.spawn_linked(id, host, ...) -> pid | nil, error`
---As spawn; the failure of one is the failure of both.
---@param id any
---@param host any
---@param ... any
---@return any
---@return any error
function process.spawn_linked(id, host, ...) end

---`process.spawn_linked_monitored(id, host, ...) -> pid | nil, error`
---Both.
---@param id any
---@param host any
---@param ... any
---@return any
---@return any error
function process.spawn_linked_monitored(id, host, ...) end

---`process.exec(id, host, ...) -> result | nil, error`
---Starts a process and waits for its result.
---@param id any
---@param host any
---@param ... any
---@return any
---@return any error
function process.exec(id, host, ...) end

---`process.terminate(dest) -> true | nil, error`
---Ends a process without giving it a chance.
---@param dest any
---@return any
---@return any error
function process.terminate(dest) end

---`process.cancel(dest, reason?) -> true | nil, error`
---Asks a process to end: a CANCEL event.
---@param dest any
---@param reason? any
---@return any
---@return any error
function process.cancel(dest, reason) end

---`process.monitor(dest), unmonitor(dest) -> true | nil, error`
---EXIT event when it ends.
---@param dest any
---@return any
---@return any error
function process.monitor(dest) end

---`process.monitor(dest), unmonitor(dest) -> true | nil, error`
---EXIT event when it ends.
---@param dest any
---@return any
---@return any error
function process.unmonitor(dest) end

---`process.link(dest), unlink(dest) -> true | nil, error`
---Shares failure, both ways.
---@param dest any
---@return any
---@return any error
function process.link(dest) end

---`process.link(dest), unlink(dest) -> true | nil, error`
---Shares failure, both ways.
---@param dest any
---@return any
---@return any error
function process.unlink(dest) end

---`process.get_options() -> table`
---`{trap_links = boolean}`.
---@return any
function process.get_options() end

---`process.set_options(options) -> true | false, error`
---`trap_links`: failures of links become LINK_DOWN events.
---@param options any
---@return any
---@return any error
function process.set_options(options) end

---`process.inbox() -> channel`
---Messages that no listener takes.
---@return any
function process.inbox() end

---`process.events() -> channel`
---EXIT, LINK_DOWN and CANCEL events.
---@return any
function process.events() end

---`process.listen(topic, {message = true}?) -> channel`
---The values (or messages) of one topic.
---@param topic any
---@param arg2? any
---@return any
function process.listen(topic, arg2) end

---`process.unlisten(channel)`
---Later messages of that topic go to the inbox again.
---@param channel any
function process.unlisten(channel) end

---`process.with_context(values), with_options(options) -> spawner`
---An immutable spawner.
---@param values any
---@return any
function process.with_context(values) end

---`process.with_context(values), with_options(options) -> spawner`
---An immutable spawner.
---@param values any
---@return any
function process.with_options(values) end

---`process.upgrade(id?, ...)`
---Goes on as other code with the same pid, mailbox, links and monitors. In a workflow: as a new run.
---@param id? any
---@param ... any
function process.upgrade(id, ...) end

process.registry = {}

---`process.registry.register(name, pid?, scope?) -> true | nil, error`
---Gives a process a name.
---@param name any
---@param pid? any
---@param scope? any
---@return any
---@return any error
function process.registry.register(name, pid, scope) end

---`process.registry.lookup(name) -> pid | nil, error`
---Who has the name.
---@param name any
---@return any
---@return any error
function process.registry.lookup(name) end

---`process.registry.unregister(name, scope?) -> boolean`
---False: it was not registered.
---@param name any
---@param scope? any
---@return any
function process.registry.unregister(name, scope) end

---Queues of the app: publish, and what a consumer was called for.
---@class queuelib
queue = {}

---`queue.publish(id, data, headers?) -> true | nil, error`
---Stored when it returns.
---@param id any
---@param data any
---@param headers? any
---@return any
---@return any error
function queue.publish(id, data, headers) end

---`queue.message() -> message | nil, error`
---In a consumer: `id()`, `header(key)`, `headers()`, `ack()`, `nack()`.
---@return any
---@return any error
function queue.message() end

---`queue.info(id) -> table | nil, error`
---Counts, as far as the driver knows them.
---@param id any
---@return any
---@return any error
function queue.info(id) end

---The entries of the app: read, change, roll back.
---@class registrylib
registry = {}

---`registry.get(id) -> {id, kind, meta, data} | nil, error`
---@param id any
---@return any
---@return any error
function registry.get(id) end

---`registry.find(filter) -> entries | nil, error`
---Keys `.kind .name .ns .id meta.x`; before `meta.`: `~` regular expression, `*` contains, `^` starts, `$` ends.
---@param filter any
---@return any
---@return any error
function registry.find(filter) end

---`registry.parse_id(id) -> {ns, name}`
---@param id any
---@return any
function registry.parse_id(id) end

---`registry.snapshot(), snapshot_at(id) -> snapshot | nil, error`
---`version() entries() get(id) find(filter) namespace(ns) changes()`.
---@return any
---@return any error
function registry.snapshot() end

---`registry.snapshot(), snapshot_at(id) -> snapshot | nil, error`
---`version() entries() get(id) find(filter) namespace(ns) changes()`.
---@return any
---@return any error
function registry.snapshot_at() end

---`registry.current_version(), versions()`
---`id() string() previous() next()`; sorted by id, 0 is the state at boot.
function registry.current_version() end

---`registry.current_version(), versions()`
---`id() string() previous() next()`; sorted by id, 0 is the state at boot.
function registry.versions() end

---`registry.history() -> history`
---`versions() get_version(id) snapshot_at(version)`.
---@return any
function registry.history() end

---`registry.apply_version(version) -> true | nil, error`
---Rolls back or forward.
---@param version any
---@return any
---@return any error
function registry.apply_version(version) end

---`registry.build_delta(from, to) -> ops`
---What turns one list of entries into another.
---@param from any
---@param to any
---@return any
function registry.build_delta(from, to) end

---Who acts, and what that one may do.
---@class securitylib
security = {}

---`security.new_actor(id, meta?) -> actor`
---`id()`, `meta()`.
---@param id any
---@param meta? any
---@return any
function security.new_actor(id, meta) end

---`security.new_scope(policies?) -> scope`
---`policies()`, `with(policy)`, `without(id)`, `contains(id)`, `evaluate(...)`.
---@param policies? any
---@return any
function security.new_scope(policies) end

---`security.actor() -> actor | nil, scope() -> scope | nil`
---The current ones.
---@return any
function security.actor() end

---`security.can(action, resource, meta?) -> boolean`
---Deny wins; nothing said is no.
---@param action any
---@param resource any
---@param meta? any
---@return any
function security.can(action, resource, meta) end

---`security.policy(id) -> policy | nil, error`
---`id()`, `evaluate(actor, action, resource, meta?)`: "allow", "deny", "undefined".
---@param id any
---@return any
---@return any error
function security.policy(id) end

---`security.named_scope(id) -> scope | nil, error`
---All policies of a group.
---@param id any
---@return any
---@return any error
function security.named_scope(id) end

---Key-value stores of the app.
---@class storelib
store = {}

---`store.get(id) -> store | nil, error`
---A store entry.
---@param id any
---@return any
---@return any error
function store.get(id) end

---`store:get(key) -> value | nil, error`
---NotFound when it is not there (any more).
---@param key any
---@return any
---@return any error
function store:get(key) end

---`store:set(key, value, ttl?) -> true | nil, error`
---ttl in seconds; 0 or nothing: for ever.
---@param key any
---@param value any
---@param ttl? any
---@return any
---@return any error
function store:set(key, value, ttl) end

---`store:has(key), store:delete(key) -> boolean | nil, error`
---@param key any
---@return any
---@return any error
function store:has(key) end

---`store:has(key), store:delete(key) -> boolean | nil, error`
---@param key any
---@return any
---@return any error
function store:delete(key) end

---`store:entry(key) -> {key, value, version} | nil, error`
---@param key any
---@return any
---@return any error
function store:entry(key) end

---`store:put(key, value, {ttl, only_if_absent, if_version}?) -> entry | nil, error`
---AlreadyExists, Conflict.
---@param key any
---@param value any
---@param arg3 any
---@param only_if_absent any
---@param arg5? any
---@return any
---@return any error
function store:put(key, value, arg3, only_if_absent, arg5) end

---`store:list({prefix, after, limit}?) -> {items, cursor, has_more} | nil, error`
---In the order of keys.
---@param arg1 any
---@param after any
---@param arg3? any
---@return any
---@return any error
function store:list(arg1, after, arg3) end

---`store:release() -> boolean`
---Later calls are Invalid.
---@return any
function store:release() end

---The node and its cluster.
---@class systemlib
system = {}

---`system.exit(code?) -> true | nil, error`
---Stops the whole node.
---@param code? any
---@return any
---@return any error
function system.exit(code) end

system.node = {}

---`system.node.id(), node.addr() -> text | nil, error`
---@return any
---@return any error
function system.node.id() end

system.memory = {}

---`system.memory.stats() -> table, memory.allocated() -> number`
---Bytes.
---@return any
function system.memory.stats() end

system.cluster = {}

---`system.cluster.members() -> {{id, is_local, addr, meta}}, cluster.size() -> number`
---@return any
function system.cluster.members() end

system.lock = {}

---`system.lock.acquire(name) -> true | false, error | nil, error`
---false: held by another. Released when the process ends.
---@param name any
---@return any
---@return any error
function system.lock.acquire(name) end

---`system.lock.release(name) -> boolean`
---false: not held.
---@param name any
---@return any
function system.lock.release(name) end

---Regular expressions that cannot run away, and splitting of documents.
---@class textlib
text = {}

text.regexp = {}

---`text.regexp.compile(pattern) -> regexp | nil, error`
---RE2: `match_string find_string find_all_string find_string_submatch find_all_string_submatch find_string_index find_all_string_index replace_all_string split num_subexp subexp_names string`. Bounds count bytes from 1.
---@param pattern any
---@return any
---@return any error
function text.regexp.compile(pattern) end

text.splitter = {}

---`text.splitter.recursive({chunk_size, chunk_overlap, keep_separator, separators}?) -> splitter | nil, error`
---`split_text(text)`, `split_batch({{content, metadata}})`.
---@param arg1 any
---@param chunk_overlap any
---@param keep_separator any
---@param arg4? any
---@return any
---@return any error
function text.splitter.recursive(arg1, chunk_overlap, keep_separator, arg4) end

---Instants, durations, zones, sleeping and timers.
---@class timelib
time = {}

---`time.now() -> time`
---In a workflow: recorded, and the same within one turn.
---@return any
function time.now() end

---`time.date(year, month, day, hour, minute, second, nanosecond, location?) -> time`
---Fields may carry over.
---@param year any
---@param month any
---@param day any
---@param hour any
---@param minute any
---@param second any
---@param nanosecond any
---@param location? any
---@return any
function time.date(year, month, day, hour, minute, second, nanosecond, location) end

---`time.unix(seconds, nanoseconds?) -> time`
---From the epoch.
---@param seconds any
---@param nanoseconds? any
---@return any
function time.unix(seconds, nanoseconds) end

---`time.parse(layout, text, location?) -> time | nil, error`
---By example: "2006-01-02 15:04:05".
---@param layout any
---@param text any
---@param location? any
---@return any
---@return any error
function time.parse(layout, text, location) end

---`time.parse_duration(text | nanoseconds | duration) -> duration | nil, error`
---"1h30m", `5 * time.SECOND`.
---@param arg1 any
---@return any
---@return any error
function time.parse_duration(arg1) end

---`time.load_location(name) -> location | nil, error`
---An IANA zone.
---@param name any
---@return any
---@return any error
function time.load_location(name) end

---`time.fixed_zone(name, seconds) -> location`
---East of UTC.
---@param name any
---@param seconds any
---@return any
function time.fixed_zone(name, seconds) end

---`time.sleep(duration)`
---Waits; durable in a workflow.
---@param duration any
function time.sleep(duration) end

---`time.after(duration) -> channel`
---Delivers the time, once.
---@param duration any
---@return any
function time.after(duration) end

---`time.timer(duration) -> timer`
---`channel()`, `response()`, `stop()`, `reset(duration)`.
---@param duration any
---@return any
function time.timer(duration) end

---`time.ticker(duration) -> ticker`
---`channel()`, `response()`, `stop()`; ticks nobody takes do not pile up.
---@param duration any
---@return any
function time.ticker(duration) end

---Makes and reads UUIDs; in a workflow, the same ones on every replay.
---@class uuidlib
uuid = {}

---`uuid.v1() | v4() | v7() -> text`
---By time and node; random; sortable by time.
---@return any
function uuid.v1() end

---`uuid.v1() | v4() | v7() -> text`
---By time and node; random; sortable by time.
---@return any
function uuid.v4() end

---`uuid.v1() | v4() | v7() -> text`
---By time and node; random; sortable by time.
---@return any
function uuid.v7() end

---`uuid.v3(namespace, name), v5(namespace, name) -> text | nil, error`
---By MD5 or SHA-1 of a name.
---@param namespace any
---@param name any
---@return any
---@return any error
function uuid.v3(namespace, name) end

---`uuid.v3(namespace, name), v5(namespace, name) -> text | nil, error`
---By MD5 or SHA-1 of a name.
---@param namespace any
---@param name any
---@return any
---@return any error
function uuid.v5(namespace, name) end

---`uuid.validate(value) -> boolean`
---Whether it is the text of a UUID.
---@param value any
---@return any
function uuid.validate(value) end

---`uuid.version(text) -> integer | nil, error`
---@param text any
---@return any
---@return any error
function uuid.version(text) end

---`uuid.variant(text) -> text | nil, error`
---RFC4122, Microsoft, NCS or Future.
---@param text any
---@return any
---@return any error
function uuid.variant(text) end

---`uuid.parse(text) -> {version, variant, timestamp?, node?} | nil, error`
---@param text any
---@return any
---@return any error
function uuid.parse(text) end

---`uuid.format(text, "standard" | "simple" | "urn") -> text | nil, error`
---@param text any
---@param arg2 any
---@return any
---@return any error
function uuid.format(text, arg2) end

---What only a workflow has: its run, its versions, its attributes.
---@class workflowlib
workflow = {}

---`workflow.info() -> table | nil, error`
---workflow_id, run_id, workflow_type, task_queue, namespace, attempt, history_length, history_size.
---@return any
---@return any error
function workflow.info() end

---`workflow.exec(id, ...) -> result | nil, error`
---Runs a child on the same task queue and waits for it.
---@param id any
---@param ... any
---@return any
---@return any error
function workflow.exec(id, ...) end

---`workflow.version(change, min, max) -> number`
---Fixed for the run at its first use: gates a change of code.
---@param change any
---@param min any
---@param max any
---@return any
function workflow.version(change, min, max) end

---`workflow.attrs({search = table, memo = table}) -> true | nil, error`
---What lists and filters show.
---@param arg1 any
---@param arg2 any
---@return any
---@return any error
function workflow.attrs(arg1, arg2) end

---`workflow.history_length(), history_size() -> number`
---Events and bytes so far.
---@return any
function workflow.history_length() end

---`workflow.history_length(), history_size() -> number`
---Events and bytes so far.
---@return any
function workflow.history_size() end

---`workflow.on_query(name, handler) -> true`
---Answers reads from outside; the handler may not block.
---@param name any
---@param handler any
---@return any
function workflow.on_query(name, handler) end

---YAML text to values and back.
---@class yamllib
yaml = {}

---`yaml.encode(table, {field_order, sort_unordered}?) -> text | nil, error`
---@param table any
---@param arg2 any
---@param arg3? any
---@return any
---@return any error
function yaml.encode(table, arg2, arg3) end

---`yaml.decode(text) -> value | nil, error`
---Invalid for empty text, Internal for what is no YAML.
---@param text any
---@return any
---@return any error
function yaml.decode(text) end
