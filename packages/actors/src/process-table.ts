import type { Process } from './process.ts'

const pageBits = 8
const pageSize = 1 << pageBits

interface Page {
  readonly slots: (Process | undefined)[]
  live: number
}

/** Living processes by serial. Pages of 256, let go when their last process ends. */
export class ProcessTable {
  #page: Page = newPage()
  #pageNumber = 0
  readonly #pages = new Map<number, Page>([[0, this.#page]])
  /** How many live. */
  size = 0

  add(serial: number, process: Process): void {
    const number = Math.floor(serial / pageSize)
    if (number !== this.#pageNumber) {
      if (this.#page.live === 0) this.#pages.delete(this.#pageNumber)
      this.#pages.set(number, (this.#page = newPage()))
      this.#pageNumber = number
    }
    this.#page.slots[serial % pageSize] = process
    this.#page.live++
    this.size++
  }

  get(serial: number): Process | undefined {
    return this.#pages.get(Math.floor(serial / pageSize))?.slots[serial % pageSize]
  }

  delete(serial: number): void {
    const number = Math.floor(serial / pageSize)
    const page = number === this.#pageNumber ? this.#page : this.#pages.get(number)
    if (page?.slots[serial % pageSize] === undefined) return
    page.slots[serial % pageSize] = undefined
    this.size--
    if (--page.live === 0 && number !== this.#pageNumber) this.#pages.delete(number)
  }

  /** In order of birth. */
  *[Symbol.iterator](): Iterator<Process> {
    for (const page of this.#pages.values()) {
      for (const process of page.slots) if (process !== undefined) yield process
    }
  }
}

function newPage(): Page {
  return { slots: new Array<Process | undefined>(pageSize), live: 0 }
}
