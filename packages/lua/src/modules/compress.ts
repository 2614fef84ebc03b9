import { AppError } from '@daruma/protocol'
import * as zlib from 'node:zlib'
import type { HostFunction, LibrarySpec, LuaValue } from '../engine.ts'
import { invalid, isTable, optional, requireBytes, requireInteger } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'

/** One format of compression. Levels say how hard to try. */
interface Format {
  readonly least: number
  readonly most: number
  encode(data: Buffer, level: number): Buffer
  decode(data: Buffer, maxBytes: number): Buffer
}

const defaultLevel = 6
const defaultMaxBytes = 128 * 1024 * 1024
const largestMaxBytes = 1024 * 1024 * 1024

const formats: Readonly<Record<string, Format>> = {
  gzip: {
    least: 1,
    most: 9,
    encode: (data, level) => zlib.gzipSync(data, { level }),
    decode: (data, maxOutputLength) => zlib.gunzipSync(data, { maxOutputLength }),
  },
  zlib: {
    least: 1,
    most: 9,
    encode: (data, level) => zlib.deflateSync(data, { level }),
    decode: (data, maxOutputLength) => zlib.inflateSync(data, { maxOutputLength }),
  },
  deflate: {
    least: 1,
    most: 9,
    encode: (data, level) => zlib.deflateRawSync(data, { level }),
    decode: (data, maxOutputLength) => zlib.inflateRawSync(data, { maxOutputLength }),
  },
  brotli: {
    least: 0,
    most: 11,
    encode: (data, level) =>
      zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: level } }),
    decode: (data, maxOutputLength) => zlib.brotliDecompressSync(data, { maxOutputLength }),
  },
}

const input = (value: LuaValue, what: string): Buffer => {
  const data = requireBytes(value, what)
  if (data.length === 0) throw invalid(`${what} must not be empty`)
  return data
}

const setting = (options: LuaValue, name: string, fallback: number): number =>
  (isTable(options) ? optional(options.get(name), requireInteger, `compress: ${name}`) : undefined) ?? fallback

function encoder(name: string, format: Format): HostFunction {
  return fallible((_ctx, [data, options]) => {
    const level = setting(options, 'level', defaultLevel)
    if (level < format.least || level > format.most) {
      throw invalid(`${name}.encode: level must be ${format.least} to ${format.most}, got ${level}`)
    }
    return [new Uint8Array(format.encode(input(data, `${name}.encode: data`), level))]
  })
}

function decoder(name: string, format: Format): HostFunction {
  return fallible((_ctx, [data, options]) => {
    const maxBytes = setting(options, 'max_size', defaultMaxBytes)
    if (maxBytes < 1 || maxBytes > largestMaxBytes) {
      throw invalid(`${name}.decode: max_size must be 1 to ${largestMaxBytes}, got ${maxBytes}`)
    }
    const source = input(data, `${name}.decode: data`)
    try {
      return [new Uint8Array(format.decode(source, maxBytes))]
    } catch (error) {
      if (error instanceof RangeError) {
        throw new AppError('internal', `${name}.decode: more than ${maxBytes} bytes`, undefined, { retryable: false })
      }
      throw invalid(`${name}.decode: ${error instanceof Error ? error.message : String(error)}`)
    }
  })
}

export const compressModule: LuaModule = {
  name: 'compress',
  summary: 'Compression: gzip, zlib, raw deflate, brotli.',
  deterministic: true,
  spec: Object.fromEntries(
    Object.entries(formats).map(([name, format]): [string, LibrarySpec] => [
      name,
      { encode: encoder(name, format), decode: decoder(name, format) },
    ]),
  ),
  docs: {
    'compress.gzip.encode(data, {level}?) -> bytes | nil, error':
      'Also compress.zlib, compress.deflate and compress.brotli. Levels 1-9, of brotli 0-11; 6 unless said otherwise.',
    'compress.gzip.decode(data, {max_size}?) -> bytes | nil, error':
      'Also compress.zlib, compress.deflate and compress.brotli. At most max_size bytes (128 MiB): beyond, Internal.',
  },
}
