import { TestSystem } from '../src/testing.ts'

/**
 * The body of a test with a system of its own. A title of the form `number: sentence` is a row of docs/semantics.md;
 * `semantics-doc.test.ts` holds the two together.
 */
export function withSystem(check: (t: TestSystem) => Promise<void> | void): () => Promise<void> {
  return async () => {
    await using system = new TestSystem()
    await check(system)
  }
}
