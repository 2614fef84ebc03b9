import { entryNamespace, type EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { resolveId, type Entry } from './entry.ts'
import { cyclesOf, formatCycle, type Edge } from './graph.ts'
import { isKind, kindHint, kindSchema, matchesKind } from './kinds.ts'
import { codeKinds, isBuiltInModule, isWorkflowModule, workflowModules } from './kinds/code.ts'
import { nearHint } from './near.ts'
import { referencesOf, type Reference } from './references.ts'
import type { Schema } from './schema.ts'
import { traverse, type Path } from './traverse.ts'

/** A fault of one entry. `path` starts with `data` or `meta`; empty: the entry as a whole. */
export interface Finding {
  readonly entry: Entry
  readonly path: Path
  readonly message: string
  readonly hint?: string | undefined
}

export interface Findings {
  readonly problems: Finding[]
  readonly warnings: Finding[]
}

export interface CheckOptions {
  /** Ids that exist although they are not among the entries: those of files that could not be read. */
  readonly alsoKnown?: ReadonlySet<string>
  /** Lua modules that exist. Without it, names of modules are not checked. */
  readonly modules?: readonly string[]
  /** True: entries of unknown kinds are data for programs, as those that programs make. */
  readonly allowUnknownKinds?: boolean
  /** Entries whose own fields need judging; absent: all. References, parents and cycles are always those of all. */
  readonly changed?: ReadonlySet<string>
  /** How references are found: whoever checks often remembers them. Default: anew each time. */
  readonly referencesOf?: (entry: Entry) => readonly Reference[]
}

/** Everything that is wrong with `entries` taken together, each fault once. */
export function checkEntries(entries: ReadonlyMap<string, Entry>, options: CheckOptions = {}): Findings {
  const findings: Findings = { problems: [], warnings: [] }
  for (const entry of entries.values()) {
    if (!isKind(entry.kind)) {
      if (options.allowUnknownKinds !== true) {
        findings.problems.push({
          entry,
          path: ['kind'],
          message: `unknown kind "${entry.kind}"`,
          hint: kindHint(entry.kind),
        })
      }
      continue
    }
    if (options.changed?.has(entry.id) !== false) {
      checkFields(entry, findings)
      checkModules(entry, entries, options, findings)
    }
    checkReferences(entry, entries, options, findings)
    checkParent(entry, entries, findings)
  }
  checkCycles(entries, options.referencesOf ?? referencesOf, findings)
  return findings
}

function checkFields(entry: Entry, findings: Findings): void {
  const schema = kindSchema(entry.kind)!
  checkPart('data', schema.data, entry.data)
  if (schema.meta !== undefined) checkPart('meta', schema.meta, entry.meta)

  function checkPart(part: 'data' | 'meta', shape: Schema, value: unknown): void {
    const parsed = v.safeParse(shape, value)
    for (const issue of parsed.issues ?? []) {
      const path: Path = [part, ...(issue.path ?? []).map((item) => item.key as string | number)]
      findings.problems.push({ entry, path, ...describeIssue(issue, fieldName(path), entry.kind) })
    }
    if (part === 'meta') return // meta is everybody's: only what we read in it is ours to judge
    traverse(shape, value, {
      unknownField(path, known) {
        findings.warnings.push({
          entry,
          path: [part, ...path],
          message: `unknown field ${fieldName([part, ...path])} of a ${entry.kind}`,
          hint: nearHint(String(path.at(-1)), known),
        })
      },
    })
  }
}

function describeIssue(
  issue: v.BaseIssue<unknown>,
  field: string,
  kind: string,
): { readonly message: string; readonly hint?: string | undefined } {
  if (issue.received === 'undefined') {
    return { message: `missing field ${field}`, hint: `a ${kind} needs it` }
  }
  if (issue.kind === 'schema' && issue.expected !== null) {
    const expected = issue.expected.replace(/^\((.*)\)$/, '$1').replaceAll(' | ', ' or ')
    const options = [...issue.expected.matchAll(/"([^"]*)"/g)].map((match) => match[1]!)
    return {
      message: `${field}: expected ${expectedWords(expected)}, found ${issue.received}`,
      hint: typeof issue.input === 'string' ? nearHint(issue.input, options) : undefined,
    }
  }
  const own = issue.message.startsWith('Invalid')
    ? `expected ${issue.expected}, found ${issue.received}`
    : issue.message
  return { message: `${field}: ${own}` }
}

/** Lua and YAML words for the shapes that the schema library names after JavaScript. */
function expectedWords(expected: string): string {
  return expected
    .replace(/\bArray\b/g, 'a list')
    .replace(/\bObject\b/g, 'a map')
    .replace(/\bstring\b/g, 'text')
}

/** As the user wrote it: fields of data stand beside `name` and `kind`. */
export function fieldName(path: Path): string {
  return (path[0] === 'data' ? path.slice(1) : path)
    .map((key, index) => (typeof key === 'number' ? `[${key + 1}]` : index === 0 ? key : `.${key}`))
    .join('')
}

function checkReferences(
  entry: Entry,
  entries: ReadonlyMap<string, Entry>,
  options: CheckOptions,
  findings: Findings,
): void {
  for (const { path, target, spec } of (options.referencesOf ?? referencesOf)(entry)) {
    const found = entries.get(target)
    if (found === undefined) {
      if (options.alsoKnown?.has(target)) continue
      const candidates = [...entries.values()]
        .filter((known) => matchesKind(known.kind, spec.kinds))
        .map(({ id }) => id)
      findings.problems.push({
        entry,
        path,
        message: `${fieldName(path)} refers to ${target}, which does not exist`,
        hint: nearHint(target, candidates) ?? nearHint(target, entries.keys()) ?? noneOf(candidates, spec.kinds),
      })
    } else if (!matchesKind(found.kind, spec.kinds) && isKind(found.kind)) {
      findings.problems.push({
        entry,
        path,
        message: `${fieldName(path)} refers to ${target}, a ${found.kind}; expected a ${spec.kinds.join(' or ')}`,
      })
    }
  }
}

function noneOf(candidates: readonly string[], kinds: readonly string[]): string | undefined {
  return candidates.length > 0 || kinds.includes('*') ? undefined : `the app has no ${kinds.join(' or ')}`
}

function checkModules(
  entry: Entry,
  entries: ReadonlyMap<string, Entry>,
  options: CheckOptions,
  findings: Findings,
): void {
  if (!(codeKinds as readonly string[]).includes(entry.kind)) return
  const isWorkflow = entry.kind === 'workflow.lua'
  for (const [index, module] of modulesOf(entry).entries()) {
    const path = ['data', 'modules', index]
    if (isWorkflow && !isWorkflowModule(module)) {
      findings.problems.push({
        entry,
        path,
        message: `module "${module}" is not deterministic; a workflow cannot replay what it answers`,
        hint:
          nearHint(module, workflowModules()) ??
          'call a function that uses it: its result is recorded; a workflow may use ' + workflowModules().join(', '),
      })
    } else if (options.modules !== undefined && !options.modules.includes(module) && !isBuiltInModule(module)) {
      findings.warnings.push({
        entry,
        path,
        message: `unknown module "${module}"; require("${module}") will fail`,
        hint: nearHint(module, options.modules),
      })
    }
  }
  if (!isWorkflow) return
  for (const library of importedBy(entry, entries)) {
    const undue = modulesOf(library).filter((module) => !isWorkflowModule(module))
    if (undue.length === 0) continue
    findings.warnings.push({
      entry,
      path: ['data', 'imports'],
      message: `imports ${library.id}, which declares ${undue.join(', ')}: not to be had inside a workflow`,
    })
  }
}

function modulesOf(entry: Entry): string[] {
  const modules = entry.data['modules']
  return Array.isArray(modules) ? modules.filter((module) => typeof module === 'string') : []
}

/** Libraries and functions that `entry` imports, directly or through others. */
function importedBy(entry: Entry, entries: ReadonlyMap<string, Entry>): Entry[] {
  const seen = new Set<Entry>()
  const visit = (importer: Entry): void => {
    for (const id of importsOf(importer)) {
      const imported = entries.get(id)
      if (imported === undefined || seen.has(imported)) continue
      seen.add(imported)
      visit(imported)
    }
  }
  visit(entry)
  return [...seen]
}

/** Full ids of what `entry` imports. */
export function importsOf(entry: Entry): EntryId[] {
  const imports = entry.data['imports']
  if (typeof imports !== 'object' || imports === null) return []
  return Object.values(imports)
    .filter((target): target is string => typeof target === 'string')
    .map((target) => resolveId(target, entryNamespace(entry.id)))
}

const parents: Readonly<Record<string, { readonly field: string; readonly kind: string }>> = {
  'http.endpoint': { field: 'router', kind: 'http.router' },
  'http.router': { field: 'server', kind: 'http.service' },
  'http.static': { field: 'server', kind: 'http.service' },
}

/** A route that does not name its parent belongs to the only one there is. */
function checkParent(entry: Entry, entries: ReadonlyMap<string, Entry>, findings: Findings): void {
  const parent = parents[entry.kind]
  if (parent === undefined || entry.meta[parent.field] !== undefined) return
  const candidates = [...entries.values()].filter((other) => other.kind === parent.kind)
  if (candidates.length === 1) return
  const found = candidates.map(({ id }) => id).join(', ')
  findings.problems.push({
    entry,
    path: ['meta'],
    message: `missing field meta.${parent.field}`,
    hint: candidates.length === 0 ? `the app has no ${parent.kind}` : `the app has several of ${parent.kind}: ${found}`,
  })
}

function checkCycles(
  entries: ReadonlyMap<string, Entry>,
  references: (entry: Entry) => readonly Reference[],
  findings: Findings,
): void {
  const order: Edge[] = []
  const imports: Edge[] = []
  for (const entry of entries.values()) {
    for (const { target, spec } of references(entry)) if (spec.order) order.push({ from: entry.id, to: target })
    for (const target of importsOf(entry)) imports.push({ from: entry.id, to: target })
  }
  report(order, 'entries wait for each other to start')
  report(imports, 'libraries import each other')

  function report(edges: readonly Edge[], message: string): void {
    for (const cycle of cyclesOf(edges)) {
      const entry = entries.get(cycle[0]!)
      if (entry !== undefined) findings.problems.push({ entry, path: [], message: `${message}: ${formatCycle(cycle)}` })
    }
  }
}
