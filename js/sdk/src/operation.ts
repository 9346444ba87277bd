import { aborted, toRealmError } from './errors.js'
import { type Backend, native } from './native.js'

/** What begins operations. */
export type Operations = Pick<Backend, 'start' | 'cancel' | 'acknowledge'>

/**
 * Runs a function of a backend off the event loop. `onTold` is called with each thing that it tells on its way; where that
 * throws, the operation ends and the promise is rejected with what was thrown.
 */
export function run<Result>(
  name: string,
  args: unknown[],
  signal?: AbortSignal,
  onTold?: (value: unknown) => void,
  backend: Operations = native,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal))
    const cancel = () => backend.cancel(operation)
    let thrown: { error: unknown } | undefined
    const operation = backend.start(
      name,
      (error, value, last) => {
        if (!last) {
          try {
            if (thrown === undefined) for (const each of value as unknown[]) onTold?.(each)
          } catch (error) {
            thrown = { error }
            cancel()
          }
          return undefined
        }
        signal?.removeEventListener('abort', cancel)
        if (thrown !== undefined) reject(thrown.error)
        else if (error === undefined) resolve(value as Result)
        else reject(signal?.aborted ? aborted(signal) : toRealmError(error))
        return undefined
      },
      ...args,
    )
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

/**
 * How many chunks are taken before the backend is told so, by the next one that comes; and how many may be under way, as far
 * as the backend knows, before it is told by a call, since it lets no more than 64 be.
 */
const batch = 16
const many = 32

/**
 * The chunks of an operation as an async iterator, whose return value is the operation's result. The backend waits while
 * many chunks have not been asked for. Leaving the loop, or the signal, ends the operation; the iterator is done when the
 * operation is.
 */
export class Stream<Chunk, Result> implements AsyncGenerator<Chunk, Result, void> {
  readonly #backend: Operations
  readonly #operation: number
  readonly #signal: AbortSignal | undefined
  #chunks: Chunk[] = []
  #taken = 0 // chunks that the backend does not know of yet to be taken
  #underWay = 0 // chunks that came, but for those that it knows of
  #end: { result: Result } | { error: unknown } | undefined
  #left = false // by return or throw
  #wake: () => void = () => {}

  /** `aside` is given what is posted, and returns whether that is no chunk. */
  constructor(
    name: string,
    args: unknown[],
    signal?: AbortSignal,
    aside?: (value: unknown) => boolean,
    backend: Operations = native,
  ) {
    if (signal?.aborted) throw aborted(signal)
    this.#signal = signal
    this.#backend = backend
    this.#operation = backend.start(
      name,
      (error, value, last) => {
        if (!last) {
          for (const each of value as unknown[]) {
            if (aside?.(each)) continue
            this.#chunks.push(each as Chunk)
            this.#underWay++
          }
        } else {
          this.#end = error === undefined ? { result: value as Result } : { error }
          signal?.removeEventListener('abort', this.#cancel)
        }
        const wake = this.#wake
        this.#wake = () => {}
        wake()
        return this.#tell()
      },
      ...args,
    )
    signal?.addEventListener('abort', this.#cancel, { once: true })
  }

  /** How many chunks the backend is to be told of as taken, if there are enough. */
  #tell(): number | undefined {
    if (this.#taken < batch) return undefined
    const taken = this.#taken
    this.#taken = 0
    this.#underWay -= taken
    return taken
  }

  readonly #cancel = () => this.#backend.cancel(this.#operation)

  async next(): Promise<IteratorResult<Chunk, Result>> {
    for (;;) {
      if (this.#left) return { done: true, value: undefined as Result }
      if (this.#signal?.aborted) {
        this.#left = true
        throw aborted(this.#signal)
      }
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#taken++
        // A call into Go is one of a thread that Go has to find a processor for, while all compute the next token.
        if (this.#underWay >= many) {
          const taken = this.#tell()
          if (taken !== undefined) this.#backend.acknowledge(this.#operation, taken)
        }
        return { done: false, value: chunk }
      }
      if (this.#end !== undefined) {
        this.#left = true
        if ('error' in this.#end) throw toRealmError(this.#end.error)
        return { done: true, value: this.#end.result }
      }
      await this.#change()
    }
  }

  async return(): Promise<IteratorResult<Chunk, Result>> {
    this.#left = true
    this.#cancel()
    while (this.#end === undefined) await this.#change()
    return { done: true, value: undefined as Result }
  }

  async throw(error: unknown): Promise<IteratorResult<Chunk, Result>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #change(): Promise<void> {
    const before = this.#wake // of a call to next that waits too
    return new Promise((resolve) => {
      this.#wake = () => {
        before()
        resolve()
      }
    })
  }
}
