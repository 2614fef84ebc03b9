/** Promises that somebody waits for, and that must not stay open when the partition goes. */
export class Unanswered {
  readonly #rejects = new Set<(error: Error) => void>()

  /** Resolves with what `ask` is answered, rejects with what it throws. */
  open<T>(ask: (answer: (given: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject)
      try {
        ask((given) => {
          this.#rejects.delete(reject)
          resolve(given)
        })
      } catch (error) {
        this.#rejects.delete(reject)
        reject(error as Error)
      }
    })
  }

  reject(error: Error): void {
    for (const reject of this.#rejects) reject(error)
    this.#rejects.clear()
  }
}
