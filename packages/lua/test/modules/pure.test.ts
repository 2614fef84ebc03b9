import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { returned } from './returned.ts'

/** Kind of the error of a call that must fail. */
const kindOf = (call: string, args: readonly unknown[] = []): unknown =>
  returned(`local v, e = ${call} return {v == nil, e and e:kind()}`, [], { args })

/* ------------------------------------------------------------------------------------------------ json */

test.each([
  ['"hé\\n"', '"hé\\n"'],
  ['42', '42'],
  ['1700000000000', '1700000000000'],
  ['0.5', '0.5'],
  ['-0.0', '0'],
  ['1/0', 'null'],
  ['true', 'true'],
  ['nil', 'null'],
  ['{1, 2, 3}', '[1,2,3]'],
  ['{}', '[]'],
  ['{a = {b = {1, {c = 2}}}}', '{"a":{"b":[1,{"c":2}]}}'],
  ['{json.null, 1}', '[null,1]'],
  ['{x = json.null}', '{"x":null}'],
  ['time.unix(0):utc()', '"1970-01-01 00:00:00 +0000 UTC"'],
])('json.encode(%s) is %s', (value, text) => {
  expect(returned(`return json.encode(${value})`)).toBe(text)
})

test('json.encode can indent', () => {
  expect(returned('return json.encode({a = {1}}, {indent = 2})')).toBe('{\n  "a": [\n    1\n  ]\n}')
})

test.each([
  ['{1, nil, 3}', 'sparse'],
  ['{1, x = 2}', 'both text and number keys'],
  ['{f = print}', 'function'],
  ['(function() local t = {} t.t = t return t end)()', 'recursive'],
  ['(function() local t = {} local c = t for i = 1, 200 do c.x = {} c = c.x end return t end)()', 'levels'],
])('json.encode(%s) is Internal: %s', (value, text) => {
  expect(returned(`local v, e = json.encode(${value}) return {v == nil, e:kind(), e:message()}`)).toEqual([
    true,
    'Internal',
    expect.stringContaining(text),
  ])
})

test.each([
  ["json.decode('{')", 'Internal'],
  ["json.decode('')", 'Invalid'],
  ['json.decode(42)', 'Invalid'],
])('%s is nil and %s', (call, kind) => {
  expect(kindOf(call)).toEqual([true, kind])
})

test('json.decode gives integers, lists in order, and nil for null', () => {
  const body = `
    local v = json.decode('{"n": 42, "big": 1700000000000, "f": 1.5, "list": [1, [2]], "none": null}')
    return {v.n .. "", v.big .. "", v.f, #v.list, v.list[2][1], v.none == nil, json.encode(json.decode("[]"))}`
  expect(returned(body)).toEqual(['42', '1700000000000', 1.5, 2, 2, true, '[]'])
})

test('what JSON can say survives decode and encode', () => {
  const seed = 20_260_103
  const value = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
      fc.dictionary(
        fc.string({ minLength: 1, maxLength: 4 }).filter((key) => key !== '__proto__'),
        tie('tree'),
        { minKeys: 1, maxKeys: 4 },
      ),
    ),
  })).tree
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (tree) => {
      const text = JSON.stringify(tree)
      const again = returned('return json.encode(json.decode(...))', [], { args: [text] }) as string
      expect(JSON.parse(again)).toEqual(JSON.parse(text))
    }),
    { seed, numRuns: 40 },
  )
})

/* ------------------------------------------------------------------------------------------- base64, hash */

test.each([
  ['', ''],
  ['f', 'Zg=='],
  ['fo', 'Zm8='],
  ['foo', 'Zm9v'],
  ['Hello, World!', 'SGVsbG8sIFdvcmxkIQ=='],
])('base64 of %j is %j and back', (plain, encoded) => {
  expect(
    returned('local a, b = ... return {base64.encode(a), base64.decode(b)}', [], { args: [plain, encoded] }),
  ).toEqual([encoded, plain])
})

test('base64 keeps any bytes', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  expect(returned('local s = ... return base64.decode(base64.encode(s)) == s', [], { args: [bytes] })).toBe(true)
})

test.each(['"Zg="', '"Z"', '"Zm9*"', '42', 'nil'])('base64.decode(%s) is Invalid', (text) => {
  expect(kindOf(`base64.decode(${text})`)).toEqual([true, 'Invalid'])
})

test.each([
  ['md5', '900150983cd24fb0d6963f7d28e17f72'],
  ['sha1', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  ['sha256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'sha512',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ],
])('hash.%s of "abc" is the published value, raw bytes too', (name, hex) => {
  const body = `local raw = hash.${name}("abc", true) return {hash.${name}("abc"), #raw * 2 == #hash.${name}("abc")}`
  expect(returned(body)).toEqual([hex, true])
})

test.each(['md5', 'sha1', 'sha256', 'sha512'])('hash.hmac_%s takes data, then the secret', (name) => {
  const hex = createHmac(name, 'key').update('data').digest('hex')
  expect(returned(`return hash.hmac_${name}("data", "key")`)).toBe(hex)
})

test('FNV-1 of 32 and 64 bits', () => {
  expect(returned('return {hash.fnv32(""), hash.fnv32("a"), hash.fnv64(""), hash.fnv64("a")}')).toEqual([
    0x811c9dc5,
    0x050c5d7e,
    '14695981039346656037',
    '12638153115695167422',
  ])
})

test('PBKDF2 gives the published bytes, by hash and by crypto', () => {
  const body =
    'local k = hash.pbkdf2("password", "salt", 1, 20) return {base64.encode(k), k == crypto.pbkdf2("password", "salt", 1, 20), #hash.pbkdf2("p", "s", 1, 64, "sha512")}'
  const key = Buffer.from('120fb6cffcf8b32c43e7225256c4f837a86548c9', 'hex').toString('base64')
  expect(returned(body)).toEqual([key, true, 64])
})

test.each([
  'hash.md5(42)',
  'hash.hmac_sha256("x", nil)',
  'hash.pbkdf2("", "s", 1, 1)',
  'hash.pbkdf2("p", "", 1, 1)',
  'hash.pbkdf2("p", "s", 0, 1)',
  'hash.pbkdf2("p", "s", 99999999, 1)',
  'hash.pbkdf2("p", "s", 1, 1, "md5")',
])('%s is Invalid', (call) => {
  expect(kindOf(call)).toEqual([true, 'Invalid'])
})

/* ------------------------------------------------------------------------------------------------ uuid */

test('uuids: versions, uniqueness, order of version 7', () => {
  const body = `
    local a, b, c, d = uuid.v4(), uuid.v4(), uuid.v1(), uuid.v7()
    return {uuid.version(a), uuid.version(c), uuid.version(d), a ~= b, uuid.validate(a), uuid.validate("x"), uuid.validate(42), uuid.variant(a), d < uuid.v7() or d ~= uuid.v7()}`
  expect(returned(body)).toEqual([4, 1, 7, true, true, false, false, 'RFC4122', true])
})

test('named uuids are the published ones', () => {
  const dns = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
  expect(
    returned('local ns = ... return {uuid.v3(ns, "www.example.com"), uuid.v5(ns, "www.example.com")}', [], {
      args: [dns],
    }),
  ).toEqual(['5df41881-3aed-3515-88a7-2f4a814cf09e', '2ed6657d-e927-568b-95e1-2665a8aea6a2'])
})

test('parse and format', () => {
  const body = `
    local one, seven = uuid.parse(uuid.v1()), uuid.parse(uuid.v7())
    local id = "2ED6657D-E927-568B-95E1-2665A8AEA6A2"
    return {one.version, one.timestamp, #one.node, seven.timestamp, seven.node == nil, uuid.format(id), uuid.format(id, "simple"), uuid.format(id, "urn")}`
  expect(returned(body, [], { workflow: {}, nowMs: 1_700_000_000_000 })).toEqual([
    1,
    1_700_000_000,
    12,
    1_700_000_000,
    true,
    '2ed6657d-e927-568b-95e1-2665a8aea6a2',
    '2ed6657de927568b95e12665a8aea6a2',
    'urn:uuid:2ed6657d-e927-568b-95e1-2665a8aea6a2',
  ])
})

test.each([
  'uuid.version("x")',
  'uuid.parse(nil)',
  'uuid.v5("x", "y")',
  'uuid.v3("2ed6657d-e927-568b-95e1-2665a8aea6a2", nil)',
  'uuid.format("2ed6657d-e927-568b-95e1-2665a8aea6a2", "odd")',
])('%s is Invalid', (call) => {
  expect(kindOf(call)).toEqual([true, 'Invalid'])
})

test('random values of a workflow are those of its run: the same seed, the same values', () => {
  const body =
    'return {uuid.v4(), crypto.random.uuid(), crypto.random.string(8), base64.encode(crypto.random.bytes(4)), base64.encode(crypto.encrypt.aes("x", ("k"):rep(16)))}'
  const once = (seed: string): unknown => returned(body, [], { workflow: {}, seed })
  expect(once('run-1')).toEqual(once('run-1'))
  expect(once('run-1')).not.toEqual(once('run-2'))
})

/* ------------------------------------------------------------------------------------------------ crypto */

test.each([
  ['aes', 16],
  ['aes', 24],
  ['aes', 32],
  ['chacha20', 32],
])('what %s encrypts with a key of %i bytes it decrypts, with and without additional data', (cipher, size) => {
  const body = `
    local key, data = ("k"):rep(${size}), "secret\\0\\255"
    local plain = crypto.encrypt.${cipher}(data, key)
    local bound = crypto.encrypt.${cipher}(data, key, "aad")
    local wrong, e = crypto.decrypt.${cipher}(bound, key, "other")
    return {crypto.decrypt.${cipher}(plain, key) == data, crypto.decrypt.${cipher}(bound, key, "aad") == data, plain ~= bound, wrong == nil, e:kind(), #plain - #data}`
  expect(returned(body)).toEqual([true, true, true, true, 'Internal', 28])
})

test.each([
  'crypto.random.bytes(0)',
  'crypto.random.bytes(1048577)',
  'crypto.random.string(4, "")',
  'crypto.encrypt.aes("x", "short")',
  'crypto.encrypt.chacha20("x", ("k"):rep(16))',
  'crypto.decrypt.aes("x", ("k"):rep(16))',
  'crypto.hmac.sha256("", "data")',
  'crypto.jwt.encode({a = 1}, "")',
  'crypto.jwt.encode({a = 1}, "k", "none")',
])('%s is Invalid', (call) => {
  expect(kindOf(call)).toEqual([true, 'Invalid'])
})

test('crypto.hmac takes the key, then the data', () => {
  const hex = (name: string): string => createHmac(name, 'key').update('data').digest('hex')
  expect(returned('return {crypto.hmac.sha256("key", "data"), crypto.hmac.sha512("key", "data")}')).toEqual([
    hex('sha256'),
    hex('sha512'),
  ])
})

test('random text uses its alphabet', () => {
  expect(
    returned(
      'local s = crypto.random.string(200, "ab") return {#s, s:match("^[ab]+$") ~= nil, #crypto.random.bytes(7)}',
    ),
  ).toEqual([200, true, 7])
})

test('constant_time_compare', () => {
  expect(returned('local c = crypto.constant_time_compare return {c("a", "a"), c("a", "b"), c("a", "aa")}')).toEqual([
    true,
    false,
    false,
  ])
})

test.each(['HS256', 'HS384', 'HS512'])('a token of %s is verified with its key and algorithm only', (alg) => {
  const body = `
    local token = crypto.jwt.encode({sub = "me", exp = 1700000100, _header = {kid = "1", alg = "none"}}, "key", "${alg}")
    local claims = crypto.jwt.verify(token, "key", "${alg}")
    local _, e1 = crypto.jwt.verify(token, "other", "${alg}")
    local _, e2 = crypto.jwt.verify(token, "key", "RS256")
    local _, e3 = crypto.jwt.verify(token .. "x", "key", "${alg}")
    return {claims.sub, e1:kind(), e2:kind(), e3:kind()}`
  expect(returned(body)).toEqual(['me', 'Internal', 'Internal', 'Internal'])
})

test("exp and nbf are held against the program's clock; exp is required unless said otherwise", () => {
  const body = `
    local function try(claims, ...)
      local c, e = crypto.jwt.verify(crypto.jwt.encode(claims, "k"), "k", "HS256", ...)
      return c and "ok" or e:message()
    end
    return {try{exp = 1700000001}, try{exp = 1700000000}, try{a = 1}, try({a = 1}, false), try({nbf = 1700000001}, false)}`
  expect(returned(body)).toEqual(['ok', 'token is expired', 'token has no exp claim', 'ok', 'token is not valid yet'])
})

/* ------------------------------------------------------------------------------------------------ yaml */

test('yaml keeps maps, lists, numbers and booleans', () => {
  const body = `
    local v = yaml.decode("name: test\\ncount: 42\\nratio: 3.5\\non: true\\ntags:\\n  - a\\n  - b\\n")
    local again = yaml.decode(yaml.encode(v))
    return {again.name, again.count .. "", again.ratio, again.on, again.tags[2]}`
  expect(returned(body)).toEqual(['test', '42', 3.5, true, 'b'])
})

test('yaml.encode puts the listed fields first and sorts the rest on request', () => {
  expect(
    returned('return yaml.encode({zebra = 1, alpha = 2, name = "t"}, {field_order = {"name"}, sort_unordered = true})'),
  ).toBe('name: t\nalpha: 2\nzebra: 1\n')
})

test.each([
  ['yaml.encode("x")', 'Invalid'],
  ['yaml.decode(42)', 'Invalid'],
  ['yaml.decode("")', 'Invalid'],
  ['yaml.decode("a: [1")', 'Internal'],
])('%s is %s', (call, kind) => {
  expect(kindOf(call)).toEqual([true, kind])
})

/* ------------------------------------------------------------------------------------------------ text */

test('regular expressions find, capture, replace and split', () => {
  const body = `
    local re = text.regexp.compile(...)
    local m = re:find_string_submatch("é a=1 b=22")
    return {re:match_string("x=1"), re:match_string("x"), re:find_string("é a=1"), re:find_all_string("a=1 b=22"), m, #re:find_all_string_submatch("a=1 b=22"),
      re:find_string_index("é a=1"), re:find_all_string_index("none") == nil, re:replace_all_string("a=1 b=2", select(2, ...)), re:num_subexp(), re:subexp_names(),
      text.regexp.compile(","):split("a,b,c", -1), text.regexp.compile(","):split("a,b,c", 2), re:string(), re:find_string("none") == nil}`
  const pattern = '(?P<key>[a-z]+)=(\\d+)'
  expect(returned(body, [], { args: [pattern, '$2:${key}$$'] })).toEqual([
    true,
    false,
    'a=1',
    ['a=1', 'b=22'],
    ['a=1', 'a', '1'],
    2,
    [4, 6],
    true,
    '1:a$ 2:b$',
    2,
    ['', 'key', ''],
    ['a', 'b', 'c'],
    ['a', 'b,c'],
    pattern,
    true,
  ])
})

test('a pattern that would run away elsewhere answers at once', () => {
  expect(returned('return text.regexp.compile("(a+)+$"):match_string(("a"):rep(5000) .. "b")')).toBe(false)
})

test('an invalid pattern is Invalid', () => {
  expect(kindOf('text.regexp.compile("(")')).toEqual([true, 'Invalid'])
})

test('a document is split at its coarsest separators, with overlap', () => {
  const body = `
    local s = text.splitter.recursive({chunk_size = 12, chunk_overlap = 4})
    return {s:split_text("one two three\\n\\nfour five"), s:split_batch({{content = "one two three four", metadata = {page = 1}}})}`
  expect(returned(body)).toEqual([
    ['one two', 'two three', 'four five'],
    [
      { content: 'one two', metadata: { page: 1 } },
      { content: 'two three', metadata: { page: 1 } },
      { content: 'four', metadata: { page: 1 } },
    ],
  ])
})

test('no chunk is longer than its size, and no word is lost', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 10, max: 40 }),
      (words, size) => {
        const chunks = returned(
          'local t, n = ... return text.splitter.recursive({chunk_size = n, chunk_overlap = 5}):split_text(t)',
          [],
          {
            args: [words.join(' '), size],
          },
        ) as string[]
        expect(chunks.every((chunk) => chunk.length <= size)).toBe(true)
        const found = chunks.flatMap((chunk) => chunk.split(' '))
        expect(words.every((word) => found.includes(word))).toBe(true)
      },
    ),
    { seed: 20_260_104, numRuns: 30 },
  )
})

/* ------------------------------------------------------------------------------------------------ expr */

test.each([
  ['1 + 2 * 3', 7],
  ['10 / 2 - 1', 4],
  ['10 % 3', 1],
  ['2 ** 3 ** 2', 512],
  ['-2 ** 2', -4],
  ['x > 5 && !flag', true],
  ['x == 10 and not flag', true],
  ['flag || x < 5', false],
  ['x > 0 ? "pos" : "neg"', 'pos'],
  ['score > 90 ? "A" : score > 80 ? "B" : "C"', 'B'],
  ['max(1, 5, 3) + min([4, 2])', 7],
  ['len([1, 2, 3])', 3],
  ['[1, 2, 3][0]', 1],
  ['[1, 2, 3][-1]', 3],
  ["'hello' + ' ' + 'world'", 'hello world'],
  ['user.name', 'ann'],
  ['none?.name ?? "nobody"', 'nobody'],
  ['"a" in ["a", "b"]', true],
  ['"z" not in ["a", "b"]', true],
  ['"name" in user', true],
  ['user.name contains "nn"', true],
  ['user.name startsWith "an" and user.name endsWith "n"', true],
  ['user.name matches "^a"', true],
  ['1..3', [1, 2, 3]],
  ['sum(values)', 10],
  ['sum(items, .price * .qty)', 50],
  ['filter(values, # > 2)', [3, 4]],
  ['map(filter(items, {.qty > 1}), .price)', [20]],
  ['values | filter(# > 1) | len()', 3],
  ['all(values, # > 0) and any(values, # == 4) and none(values, # > 9) and one(values, # == 1)', true],
  ['upper(trim("  hi "))', 'HI'],
  ['join(split("a,b", ","), "-")', 'a-b'],
  ['{"a": 1, b: [2]}', { a: 1, b: [2] }],
  ['values[1:3]', [2, 3]],
  ['round(2.5) + floor(1.9) + ceil(1.1) + abs(-1)', 7],
  ['int("42") + float("0.5")', 42.5],
  ['len(password) >= 8', true],
])('expr %s is %j', (source, value) => {
  const env = {
    x: 10,
    flag: false,
    score: 85,
    user: { name: 'ann' },
    values: [1, 2, 3, 4],
    items: [
      { price: 10, qty: 1 },
      { price: 20, qty: 2 },
    ],
    password: 'longenough',
  }
  expect(returned('local s, env = ... return expr.eval(s, env)', [], { args: [source, env] })).toEqual(value)
})

test('a compiled expression runs with many environments', () => {
  expect(
    returned(
      'local p = expr.compile("price * (1 - rate)") return {p:run({price = 100, rate = 0.5}), p:run({price = 50, rate = 0.2})}',
    ),
  ).toEqual([50, 40])
})

test.each([
  ['', 'Invalid'],
  ['1 +', 'Internal'],
  ['(1', 'Internal'],
  ['1 2', 'Internal'],
  ['nope(1)', 'Internal'],
  ['a.b', 'Internal'],
  ['1 + "x" * 2', 'Internal'],
  ['1 && true', 'Internal'],
  ['0..999999999', 'Internal'],
  ['constructor', undefined],
])('expr %j is of kind %s', (source, kind) => {
  expect(returned('local v, e = expr.eval(...) return {v == nil, e and e:kind()}', [], { args: [source] })).toEqual(
    kind === undefined ? [true] : [true, kind],
  )
})

/* ------------------------------------------------------------------------------------------------ compress */

test.each(['gzip', 'zlib', 'deflate', 'brotli'])('what %s encodes it decodes, within its limit', (name) => {
  const body = `
    local data = ("abc\\0\\255"):rep(1000)
    local packed = compress.${name}.encode(data, {level = 5})
    local _, big = compress.${name}.decode(packed, {max_size = 100})
    local _, bad = compress.${name}.decode("not compressed at all")
    local _, empty = compress.${name}.encode("")
    local _, level = compress.${name}.encode("x", {level = 99})
    return {#packed < 200, compress.${name}.decode(packed) == data, big:kind(), bad:kind(), empty:kind(), level:kind()}`
  expect(returned(body)).toEqual([true, true, 'Internal', 'Invalid', 'Invalid', 'Invalid'])
})
