import { aborted, RealmError, toRealmError } from '../errors.js'
import { answer, type Chunk, type Ending, type GenerateOptions, type Prompt, request } from '../generate.js'
import { type Operations, run, Stream } from '../operation.js'
import { type Emitted, guestBytes, type RealmOptions, type RequestResult, type SandboxResult } from '../sandbox.js'
import type { ProcessBackend } from './client.js'

/** A sandbox in a host: its number there, and the host's. */
interface Opened {
  sandbox: number
  host: number
}

/** A sandbox in a host process, where wazero runs the guest. It is opened again when the host was started again. */
export class HostSandbox {
  readonly #backend: ProcessBackend
  readonly #options: RealmOptions
  #opened: Promise<Opened>
  readonly #end = new AbortController()

  constructor(backend: ProcessBackend, options: RealmOptions) {
    this.#backend = backend
    this.#options = options
    this.#opened = this.#open()
    this.#opened.catch(() => {}) // who asks for an answer is told
  }

  async *answer(
    prompt: Prompt,
    options: GenerateOptions,
    together: boolean,
  ): AsyncGenerator<Chunk, SandboxResult, void> {
    const text = request(this.#options.model, prompt, options)
    const stream = await this.#ask<Chunk, Ending>('answer', [text], options.signal, together)
    return (yield* answer(stream, options)) as SandboxResult
  }

  async *request<Answer>(
    body: string | ArrayBufferView,
    seed: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Emitted, RequestResult<Answer>, void> {
    const stream = await this.#ask<Emitted, RequestResult<Answer>>('ask', [body, seed], signal)
    return (yield* stream) as RequestResult<Answer>
  }

  async #ask<Step, End>(
    name: string,
    args: unknown[],
    signal: AbortSignal | undefined,
    together = false,
  ): Promise<Stream<Step, End>> {
    const { onLog } = this.#options
    const { sandbox, host } = await this.#current()
    if (signal?.aborted) throw aborted(signal)
    const aside = (value: unknown) => {
      const { log } = value as { log?: string }
      if (log !== undefined) onLog?.(log)
      return log !== undefined
    }
    const all = [sandbox, ...args, onLog !== undefined, together]
    return new Stream(name, all, signal, aside, on(this.#backend, host))
  }

  async close(): Promise<void> {
    this.#end.abort()
    const opened = await this.#opened.catch(() => undefined)
    if (opened === undefined) return
    const { sandbox, host } = opened
    // With the host gone, so is the sandbox.
    await run('closeSandbox', [sandbox], undefined, undefined, on(this.#backend, host)).catch(() => {})
  }

  /** The sandbox in the host that there is now. */
  async #current(): Promise<Opened> {
    if (this.#end.signal.aborted) throw closed()
    const opened = this.#opened
    let host: number | undefined
    try {
      host = (await opened).host
    } catch (error) {
      if (toRealmError(error).code !== 'REALM_HOST_DIED') throw error // it would not open another time either
    }
    if (host !== this.#backend.host && this.#opened === opened) {
      this.#opened = this.#open()
      this.#opened.catch(() => {})
    }
    const current = await this.#opened
    if (this.#end.signal.aborted) throw closed()
    return current
  }

  async #open(): Promise<Opened> {
    const { model, guest, memoryLimit = 0, fuel, timeout, cacheLimit, outputLimit, hostCallLimit } = this.#options
    const limits = JSON.stringify({ fuel, timeout, cacheLimit, outputLimit, hostCallLimit })
    const { signal } = this.#end
    const bytes = await guestBytes(guest)
    const backend = this.#backend
    try {
      const { host } = backend // one that dies meanwhile has no successor with this number, nor with the module's
      const here = on(backend, host)
      const module = await run<number>('patchGuest', [bytes, memoryLimit], signal, undefined, here)
      try {
        const sandbox = await run<number>('openSandbox', [model, module, limits], undefined, undefined, here)
        return { sandbox, host }
      } finally {
        run('dropGuest', [module], undefined, undefined, here).catch(() => {}) // the sandbox has it, or the host is gone
      }
    } catch (error) {
      throw signal.aborted ? closed() : toRealmError(error)
    }
  }
}

/** The operations of a host by its number. */
const on = (backend: ProcessBackend, host: number): Operations => ({
  start: (name, callback, ...args) => backend.startOn(host, name, callback, ...args),
  cancel: (operation) => backend.cancel(operation),
  acknowledge: (operation, chunks) => backend.acknowledge(operation, chunks),
})

const closed = () => new RealmError('REALM_CLOSED', 'realm: the sandbox is closed')
