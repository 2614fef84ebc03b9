/** What a chart is read from: a machine's states as xstate resolved them. */
export interface ChartState {
  readonly key: string
  readonly type: string
  readonly states: Readonly<Record<string, ChartState>>
  readonly initial: { readonly target: readonly ChartState[] | undefined } | undefined
  readonly transitions: ReadonlyMap<string, readonly ChartTransition[]>
}

interface ChartTransition {
  /** Absent: the event is taken without leaving the state. */
  readonly target: readonly ChartState[] | undefined
  readonly guard?: unknown
}

export interface Charted {
  readonly root: ChartState
}

/** A machine as a Mermaid state diagram: every state, every transition with its events and guard, in order of writing. */
export function chartOf({ root }: Charted): string {
  // Mermaid draws an arrow into a group only from outside of it: groups first, then all arrows.
  return ['stateDiagram-v2', ...groupLines(root, '  '), ...arrowLines(root)].join('\n')
}

/** `text` with each machine's chart between `<!-- chart: name -->` and `<!-- /chart -->`, in place of what stood there. */
export function withCharts(text: string, machines: Readonly<Record<string, Charted>>): string {
  return text.replaceAll(
    /(<!-- chart: (\w+) -->\n)[^]*?(<!-- \/chart -->)/g,
    (whole, open: string, name: string, end) => {
      const machine = machines[name]
      return machine === undefined ? whole : `${open}\n\`\`\`mermaid\n${chartOf(machine)}\n\`\`\`\n\n${end}`
    },
  )
}

function groupLines(group: ChartState, indent: string): string[] {
  const first = group.initial?.target?.[0]
  const lines = first === undefined ? [] : [`${indent}[*] --> ${first.key}`]
  for (const state of Object.values(group.states)) {
    const inner = groupLines(state, `${indent}  `)
    if (inner.length > 0) lines.push(`${indent}state ${state.key} {`, ...inner, `${indent}}`)
    // Named in its group, or its first arrow would draw it outside.
    else if (state.key !== first?.key && indent.length > 2) lines.push(`${indent}${state.key}`)
  }
  return lines
}

function arrowLines(group: ChartState): string[] {
  return Object.values(group.states).flatMap((state) => [
    ...arrowsFrom(state),
    ...(state.type === 'final' ? [`  ${state.key} --> [*]`] : []),
    ...arrowLines(state),
  ])
}

/** One arrow per pair of states, with all that lead along it. */
function arrowsFrom(state: ChartState): string[] {
  const labels = new Map<string, string[]>()
  for (const [event, transitions] of state.transitions) {
    for (const { target, guard } of transitions) {
      const to = target?.[0]?.key ?? state.key
      const label = guard === undefined ? event : `${event} [${guardName(guard)}]`
      labels.set(to, [...(labels.get(to) ?? []), label])
    }
  }
  return [...labels].map(([to, along]) => `  ${state.key} --> ${to}: ${along.join(', ')}`)
}

function guardName(guard: unknown): string {
  if (typeof guard === 'string') return guard
  return typeof guard === 'object' && guard !== null && 'type' in guard ? String(guard.type) : 'guard'
}
