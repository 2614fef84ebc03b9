import { AppError } from './errors.ts'

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** A node's name in its cluster, or the id of the client entry through which workflows are reached. */
export type NodeId = Branded<string, 'NodeId'>
/** `namespace:name` of a registry entry. Names may hold dots and slashes. */
export type EntryId = Branded<string, 'EntryId'>
/** A workflow's identity across all of its runs. */
export type WorkflowId = Branded<string, 'WorkflowId'>

/** One life of one host on one node. Shared by every pid born there, so a pid costs two words. */
export class Home {
  readonly node: NodeId
  /** Changes with each life of the node, so that nothing meant for an earlier life is delivered. 0: durable. */
  readonly incarnation: number
  readonly host: string

  constructor(node: NodeId, incarnation: number, host: string) {
    this.node = node
    this.incarnation = incarnation
    this.host = host
  }
}

/**
 * Where messages for one process or workflow go. Compare with `samePid`: a pid that came over the wire is another object.
 * A number `id` is a process of one incarnation; a text `id` is a workflow, which outlives nodes.
 */
export class Pid {
  readonly home: Home
  readonly id: number | string
  /** For the owning actor system alone: its process while it lives. Never travels, never compared. */
  target: object | undefined = undefined

  constructor(home: Home, id: number | string) {
    this.home = home
    this.id = id
  }

  toString(): string {
    return formatPid(this)
  }

  toJSON(): string {
    return formatPid(this)
  }
}

/** A fresh reference: a monitor, a call, a timer. Unique within one incarnation of one node. */
export class Ref {
  readonly node: NodeId
  readonly incarnation: number
  readonly serial: number

  constructor(node: NodeId, incarnation: number, serial: number) {
    this.node = node
    this.incarnation = incarnation
    this.serial = serial
  }

  toString(): string {
    return `#ref<${this.node}.${this.incarnation}.${this.serial}>`
  }
}

export function samePid(a: Pid, b: Pid): boolean {
  return (
    a === b ||
    (a.id === b.id &&
      a.home.node === b.home.node &&
      a.home.host === b.home.host &&
      a.home.incarnation === b.home.incarnation)
  )
}

export function sameRef(a: Ref, b: Ref): boolean {
  return a === b || (a.serial === b.serial && a.node === b.node && a.incarnation === b.incarnation)
}

/** `{node@host|uniq}`: uniq is `incarnation.serial` in base 36 for a process, the workflow id for a workflow. */
export function formatPid(pid: Pid): string {
  const { node, host, incarnation } = pid.home
  const uniq = typeof pid.id === 'number' ? `0x${incarnation.toString(36)}.${pid.id.toString(36)}` : pid.id
  return `{${node}@${host}|${uniq}}`
}

const pidText = /^\{?(?:([^@|{}]*)@)?([^|{}]*)\|([^{}]+)\}?$/
const processUniq = /^0x([0-9a-z]+)\.([0-9a-z]+)$/

/**
 * The pid that `text` names, with or without braces; undefined when it is not the text of a pid.
 * `{host|uniq}` means a pid of `localNode`.
 */
export function parsePid(text: string, localNode: NodeId): Pid | undefined {
  const match = pidText.exec(text)
  if (match === null) return undefined
  const [, node = localNode, host = '', uniq = ''] = match
  const serial = processUniq.exec(uniq)
  if (serial === null) return new Pid(new Home(node as NodeId, 0, host), uniq)
  return new Pid(new Home(node as NodeId, parseInt(serial[1]!, 36), host), parseInt(serial[2]!, 36))
}

/** Brands a registry id. @throws AppError invalid - not of the form `namespace:name`. */
export function parseEntryId(text: string): EntryId {
  const colon = text.indexOf(':')
  if (colon <= 0 || colon === text.length - 1) {
    throw new AppError('invalid', `not an entry id: "${text}"; write it as namespace:name`)
  }
  return text as EntryId
}

export function entryNamespace(id: EntryId): string {
  return id.slice(0, id.indexOf(':'))
}

export function entryName(id: EntryId): string {
  return id.slice(id.indexOf(':') + 1)
}
