/**
 * The least that is a call: a queue, a promise for each request, one microtask that serves what has come. No monitor, no
 * deadline, no late reply, no end.
 */
export class FloorServer<Q, R> {
  readonly #answer: (request: Q) => R
  #requests: Q[] = []
  #waiters: ((reply: R) => void)[] = []
  readonly #serve = (): void => {
    const [requests, waiters] = [this.#requests, this.#waiters]
    this.#requests = []
    this.#waiters = []
    for (let at = 0; at < requests.length; at++) waiters[at]!(this.#answer(requests[at]!))
  }

  constructor(answer: (request: Q) => R) {
    this.#answer = answer
  }

  ask(request: Q): Promise<R> {
    return new Promise((resolve) => {
      if (this.#requests.push(request) === 1) queueMicrotask(this.#serve)
      this.#waiters.push(resolve)
    })
  }
}
