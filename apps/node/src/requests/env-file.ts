import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '@daruma/protocol'

export interface EnvFileOptions {
  readonly path: string
  /** A missing file is made with the first value; otherwise it is an error. */
  readonly autoCreate: boolean
  readonly fileMode: number
  readonly dirMode: number
}

/**
 * Variables in a file of `NAME=value` lines. Read anew each time: people edit such files. Writes are made one after the
 * other, each as a whole file that replaces the old one, with comments and order kept.
 */
export class EnvFile {
  readonly #options: EnvFileOptions
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: EnvFileOptions) {
    this.#options = options
  }

  async get(name: string): Promise<string | undefined> {
    return parseEnv(await this.#read()).get(name)
  }

  set(name: string, value: string): Promise<void> {
    const { path, fileMode, dirMode } = this.#options
    const turn = this.#last.then(async () => {
      const text = withValue(await this.#read(), name, value)
      await mkdir(dirname(path), { recursive: true, mode: dirMode })
      await writeFile(`${path}.new`, text, { mode: fileMode })
      await rename(`${path}.new`, path)
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #read(): Promise<string> {
    const { path, autoCreate } = this.#options
    try {
      return await readFile(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && autoCreate) return ''
      throw new AppError('unavailable', `cannot read ${path}: ${(error as Error).message}`, undefined, { cause: error })
    }
  }
}

const line = /^\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*$/

/** Later lines win. A value in double quotes may hold `\n`, `\"` and `\\`; in single quotes it is as it stands. */
export function parseEnv(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const each of text.split(/\r?\n/)) {
    const match = line.exec(each)
    if (match !== null) values.set(match[1]!, unquoted(match[2]!))
  }
  return values
}

function unquoted(text: string): string {
  const quote = text[0]
  if ((quote === '"' || quote === "'") && text.length > 1 && text.endsWith(quote)) {
    const inner = text.slice(1, -1)
    if (quote === "'") return inner
    return inner.replace(/\\(.)/g, (_whole, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return text.replace(/\s+#.*$/, '')
}

/** The text with `name` set: in its place if it is there, else at the end. */
export function withValue(text: string, name: string, value: string): string {
  const plain = /^[\w./:@%+,-]*$/.test(value)
  const escaped = value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')
  const written = `${name}=${plain ? value : `"${escaped}"`}`
  const lines = text.split('\n')
  const at = lines.findLastIndex((each) => line.exec(each)?.[1] === name)
  if (at >= 0) return lines.with(at, written).join('\n')
  const body = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return `${body}${written}\n`
}
