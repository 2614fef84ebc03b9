/**
 * The known names that somebody who wrote `asked` may have meant, nearest first, at most three.
 * For entry ids a known id with the same name in another namespace counts as near.
 */
export function nearNames(asked: string, known: Iterable<string>): string[] {
  const askedName = asked.slice(asked.lastIndexOf(':') + 1)
  const limit = Math.max(2, Math.floor(askedName.length / 3))
  const found: { readonly name: string; readonly distance: number }[] = []
  for (const name of known) {
    if (name === asked) continue
    const sameName = asked.includes(':') && name.slice(name.lastIndexOf(':') + 1) === askedName
    const distance = sameName ? 1 : editDistance(asked, name, limit)
    if (distance <= limit) found.push({ name, distance })
  }
  found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
  return found.slice(0, 3).map((candidate) => candidate.name)
}

/** "did you mean a or b?", or undefined when nothing is near. */
export function nearHint(asked: string, known: Iterable<string>): string | undefined {
  const names = nearNames(asked, known)
  if (names.length === 0) return undefined
  const last = names.at(-1)!
  return `did you mean ${names.length === 1 ? last : `${names.slice(0, -1).join(', ')} or ${last}`}?`
}

/** Insertions, deletions, replacements and swaps of neighbours; anything beyond `limit` is `limit + 1`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let best = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, beforeLast[column - 2]! + 1)
      }
      current.push(best)
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
