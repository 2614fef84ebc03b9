import type { AppError } from '@daruma/protocol'

/** A part of a workflow that is cancelled as one. */
export class Scope {
  readonly #parent: Scope | undefined
  /** What cancels the scopes around it does not reach it. */
  readonly isShielded: boolean
  #over: AppError | undefined
  readonly listeners: ((error: AppError) => void)[] = []

  constructor(parent?: Scope, options: { isShielded?: boolean } = {}) {
    this.#parent = parent
    this.isShielded = options.isShielded ?? false
  }

  /** Cancelled for good: what is asked in it from now on fails with the error. */
  close(error: AppError): void {
    this.#over ??= error
  }

  /** Why nothing can be asked here any more. */
  get over(): AppError | undefined {
    if (this.#over !== undefined || this.isShielded) return this.#over
    return this.#parent?.over
  }

  /** True when a cancellation of `from` reaches this scope. */
  isReachedFrom(from: Scope): boolean {
    if (this === from) return true
    return !this.isShielded && this.#parent?.isReachedFrom(from) === true
  }
}
