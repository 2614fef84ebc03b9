/** How many partitions each other node owns, as this one knows it. */
export type Holdings = ReadonlyMap<string, number>

/**
 * Whom a node that owns `mine` partitions asks for one: the richest, as long as both are not poorer for it. Moves that
 * keep this rule end, with nobody two apart from anybody.
 */
export function whomToAsk(mine: number, others: Holdings): string | undefined {
  let richest: string | undefined
  let most = mine + 1
  for (const [node, count] of others) {
    if (count <= most) continue
    most = count
    richest = node
  }
  return richest
}

/** Whether a node that owns `mine` gives one to a node that owns `theirs`. */
export function mayGive(mine: number, theirs: number): boolean {
  return mine >= theirs + 2
}
