import { aborted, RealmError } from './errors.js'
import {
  type Chunk,
  type GenerateOptions,
  type GuestUse,
  generateStream,
  type Prompt,
  type Result,
} from './generate.js'
import { type LoadOptions, loadModel } from './load.js'
import { removeModel } from './models.js'
import { Realm, type RealmOptions } from './sandbox.js'

/** Options of an Answerer. */
export interface AnswererOptions {
  /**
   * A name or a path as loadModel takes it, which is opened, and downloaded if need be, when it is first asked; or the id of
   * a model that is stored.
   */
  model: string | number
  /**
   * Answers in a sandbox, with these limits where there are any. It gives answers that are asked for at one time one after
   * the other. Default: the engine itself answers.
   */
  sandbox?: boolean | Omit<RealmOptions, 'model'>
  /** Called while the model is downloaded, as loadModel does. */
  onProgress?: NonNullable<LoadOptions['onProgress']>
}

/**
 * A model that is opened when it is first asked, and answers by the engine or in a sandbox: what adapters to frameworks are
 * made of, whose models are described long before they are used. Close it, or declare it with `await using`.
 */
export class Answerer implements AsyncDisposable {
  readonly #model: string | number
  readonly #limits: Omit<RealmOptions, 'model'> | undefined
  readonly #loading: LoadOptions
  #stored: Promise<number> | undefined
  #sandbox: Realm | undefined
  #closed = false

  constructor({ model, sandbox = false, onProgress }: AnswererOptions) {
    this.#model = model
    this.#loading = onProgress === undefined ? {} : { onProgress }
    this.#limits = sandbox === true ? {} : sandbox || undefined
  }

  /** Answers a prompt, a token at a time, as generateStream does. `guest` is what the sandbox took, if one answered. */
  async *generateStream(
    prompt: Prompt,
    options: GenerateOptions = {},
  ): AsyncGenerator<Chunk, Result & { guest?: GuestUse }, void> {
    this.#check()
    const model = await unlessAborted(this.#open(), options.signal)
    this.#check()
    if (this.#limits === undefined) return yield* generateStream(model, prompt, options)
    this.#sandbox ??= new Realm({ ...this.#limits, model })
    const sandbox = this.#sandbox
    try {
      return yield* sandbox.generateStream(prompt, options)
    } catch (error) {
      // A thread that has ended answers nobody any more: the next answer begins another.
      const { code } = error as Partial<RealmError>
      const ended = code === 'REALM_CLOSED' || code === 'REALM_INTERNAL'
      if (ended && this.#sandbox === sandbox) {
        this.#sandbox = undefined
        await sandbox.close()
      }
      throw error
    }
  }

  /** Ends its sandbox, and gives the model back if it was stored here. It may be called again. */
  async close(): Promise<void> {
    this.#closed = true
    const stored = this.#stored
    this.#stored = undefined
    await this.#sandbox?.close()
    const model = await stored?.catch(() => undefined)
    if (model !== undefined) removeModel(model)
  }

  /** close, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #check(): void {
    if (this.#closed) throw new RealmError('REALM_CLOSED', 'realm: the answerer is closed')
  }

  /** Opens the model for all that ask for it meanwhile, so no single signal ends that. Who asks after a failure tries again. */
  #open(): Promise<number> {
    if (typeof this.#model === 'number') return Promise.resolve(this.#model)
    if (this.#stored === undefined) {
      const stored = loadModel(this.#model, this.#loading)
      this.#stored = stored
      stored.catch(() => {
        if (this.#stored === stored) this.#stored = undefined
      })
    }
    return this.#stored
  }
}

/** A promise's outcome, or a rejection as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
