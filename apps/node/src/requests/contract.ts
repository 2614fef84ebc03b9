import { AppError } from '@daruma/protocol'
import { nearHint, viewOf, type BoundContract, type Entry } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/** Contracts and their bindings. A function of the registry alone: who asks does not count. */
export function contractRequests({ registry }: Pick<NodeParts, 'registry'>): RequestHandlers {
  const definition = (id: string): Entry => ofKind(id, 'contract.definition')

  const ofKind = (id: string, kind: 'contract.definition' | 'contract.binding'): Entry => {
    const entry = registry.get(id)
    if (entry?.kind === kind) return entry
    const known = registry.entries().flatMap((each) => (each.kind === kind ? [each.id] : []))
    const near = nearHint(id, known)
    const hint = entry !== undefined ? `: it is a ${entry.kind}` : near === undefined ? '' : `; ${near}`
    throw new AppError('not_found', `no ${kind} ${id}${hint}`, undefined, { retryable: false })
  }

  /** Bindings of `contract`, by id. */
  const bindingsOf = (contract: string): readonly { readonly id: string; readonly bound: BoundContract }[] =>
    registry.entries().flatMap((entry) => {
      if (entry.kind !== 'contract.binding') return []
      const bound = viewOf(entry, 'contract.binding').contracts.find((each) => each.contract === contract)
      return bound === undefined ? [] : [{ id: entry.id, bound }]
    })

  const defaultOf = (contract: string): string => {
    const bindings = bindingsOf(definition(contract).id)
    const found = bindings.find(({ bound }) => bound.default) ?? (bindings.length === 1 ? bindings[0] : undefined)
    if (found !== undefined) return found.id
    const known = bindings.map(({ id }) => id).join(', ')
    const hint = known === '' ? 'it has no binding' : `none of its bindings is the default one: ${known}`
    throw new AppError('not_found', `${contract}: ${hint}`, undefined, { retryable: false })
  }

  return {
    'contract.get': ({ id }) => ({
      id: definition(id).id,
      methods: viewOf(definition(id), 'contract.definition').methods,
    }),
    'contract.implementations': ({ contract }) => bindingsOf(definition(contract).id).map(({ id }) => id),
    'contract.open': ({ contract, binding }) => {
      if (contract === undefined && binding === undefined) {
        throw new AppError('invalid', 'contract.open: neither a contract nor a binding was named')
      }
      const id = binding ?? defaultOf(contract!)
      const all = viewOf(ofKind(id, 'contract.binding'), 'contract.binding').contracts
      const bound = contract === undefined ? all : all.filter((each) => each.contract === contract)
      if (bound.length === 0)
        throw new AppError('not_found', `${id} does not bind ${contract}`, undefined, { retryable: false })
      return {
        id,
        contracts: bound.map((each) => each.contract),
        methods: Object.assign({}, ...bound.map((each) => each.methods)) as Record<string, string>,
      }
    },
  }
}
