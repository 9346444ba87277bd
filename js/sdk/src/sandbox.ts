import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import files from '../native/files.cjs'
import { type BackendOptions, processOf } from './backend.js'
import { aborted, RealmError, toRealmError } from './errors.js'
import {
  answer,
  type Chunk,
  type Ending,
  type GenerateOptions,
  type GuestUse,
  last,
  type Prompt,
  type Result,
  request,
  type TokenLogprob,
} from './generate.js'
import { type Abortable, call } from './models.js'
import { native } from './native.js'
import { run, Stream } from './operation.js'
import { HostSandbox } from './process/sandbox.js'
import type { ThreadData, ThreadReport } from './thread.js'

/** A guest: the path of a WebAssembly module, or its bytes. */
export type GuestSource = string | URL | ArrayBufferView | ArrayBuffer

/** Options of a sandbox. A limit of 0 is none, but for memory. */
export interface RealmOptions extends BackendOptions {
  /** The model that the guest may use, by the id that storeModel returned. */
  model: number
  /** The guest. Default: the one that ships with the package, which answers as generate does. */
  guest?: GuestSource
  /** Bytes of linear memory, in whole pages of 64 KiB. Beyond it: `REALM_OUT_OF_MEMORY`. Default 64 MiB. */
  memoryLimit?: number
  /** Milliseconds that an answer may take: `REALM_DEADLINE_EXCEEDED`. Default ten minutes. */
  timeout?: number
  /** Units of fuel, about one for each instruction, that an answer may take: `REALM_FUEL_EXHAUSTED`. Default 1e12. */
  fuel?: number
  /** Bytes of KV cache: `REALM_CACHE_LIMIT`. Default 4 GiB. */
  cacheLimit?: number
  /** Bytes of output and log lines: `REALM_OUTPUT_LIMIT`. Default 64 MiB. */
  outputLimit?: number
  /** Calls of host functions: `REALM_HOST_CALL_LIMIT`. Default ten million. */
  hostCallLimit?: number
  /** Called with lines that the guest logs. Without it they are dropped. */
  onLog?: (line: string) => void
}

/** An answer from a sandbox. */
export interface SandboxResult extends Result {
  /** What the guest took for it. */
  guest: GuestUse
}

/** What a guest emitted: text of its answer, or a token that it drew, with logarithms of probabilities if it gave any. */
export type Emitted = { text: string } | { token: number; logprob?: number; topLogprobs?: TokenLogprob[] }

/** Options of a request of the guest's own. */
export interface RequestOptions extends Abortable {
  /** Of the random bytes that the guest gets, a whole number of 64 bits. The same seed gives the same. Default 0. */
  seed?: number | bigint
}

/** How a request of the guest's own ended. */
export interface RequestResult<Answer = unknown> {
  /** What the guest emitted as its result; undefined where it emitted none. Its shape is the guest's promise. */
  result?: Answer
  guest: GuestUse
}

/**
 * A sandbox: a guest, a WebAssembly module that nobody needs to trust, in a thread of its own. It sees tokens, activations
 * and logits of one model, whose weights it shares with all others and cannot reach, and has no files, no network, a
 * virtual clock and seeded random bytes. Each answer begins with the same memory: nothing of the last one is left.
 * Answers asked for at one time are given one after the other. Close it, or declare it with `await using`.
 */
export class Realm implements AsyncDisposable {
  readonly #options: RealmOptions
  readonly #host: HostSandbox | undefined // in a host process, which is then all there is
  readonly #opened: Promise<{ sandbox: number; worker: Worker }>
  #closed: RealmError | undefined
  #sandbox: number | undefined
  #worker: Worker | undefined
  #answers = 0 // in progress, which keep the thread from letting the process end

  constructor(options: RealmOptions) {
    this.#options = { ...options }
    const process = processOf(options, options.model)
    this.#host = process && new HostSandbox(process, this.#options)
    this.#opened = this.#host === undefined ? this.#open() : new Promise(() => {})
    this.#opened.catch(() => {}) // who asks for an answer is told
  }

  /** Answers a prompt, a token at a time, as generateStream of the package does. */
  generateStream(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<Chunk, SandboxResult, void> {
    return this.#answer(prompt, options, false)
  }

  async *#answer(
    prompt: Prompt,
    options: GenerateOptions,
    together: boolean,
  ): AsyncGenerator<Chunk, SandboxResult, void> {
    if (this.#host !== undefined) return yield* this.#host.answer(prompt, options, together)
    const text = () => request(this.#options.model, prompt, options)
    const ask = (sandbox: number, logs: boolean) => native.requestAnswer(sandbox, text(), logs)
    const read = (stream: Stream<Chunk, Ending>) => answer(stream, options)
    return (yield* this.#ask(ask, options.signal, read, together)) as SandboxResult
  }

  /**
   * Sends a guest of one's own a request of its own: a value, which it gets as JSON, or bytes. Yields what the guest emits,
   * as it is; the generator's return value has the result that it emitted. A guest opens the model by its id, which the
   * request has to tell it unless it knows it otherwise.
   */
  async *request<Answer = unknown>(
    body: unknown,
    options: RequestOptions = {},
  ): AsyncGenerator<Emitted, RequestResult<Answer>, void> {
    const bytes = ArrayBuffer.isView(body) ? body : JSON.stringify(body)
    if (bytes === undefined) {
      throw new RealmError('REALM_INVALID_ARGUMENT', 'realm: the request is to be bytes, or a value that JSON has')
    }
    const seed = String(options.seed ?? 0)
    if (this.#host !== undefined) return yield* this.#host.request<Answer>(bytes, seed, options.signal)
    const ask = (sandbox: number, logs: boolean) => native.requestRaw(sandbox, bytes, seed, logs)
    return yield* this.#ask(ask, options.signal, (stream: Stream<Emitted, RequestResult<Answer>>) => stream)
  }

  /** Makes a request in the addon, hands its number to the thread, and reads the answer. */
  async *#ask<Step, End, Out, Result>(
    ask: (sandbox: number, logs: boolean) => number,
    signal: AbortSignal | undefined,
    read: (stream: Stream<Step, End>) => AsyncGenerator<Out, Result, void>,
    together = false,
  ): AsyncGenerator<Out, Result, void> {
    const { onLog } = this.#options
    const { sandbox, worker } = await this.#opened
    if (this.#closed !== undefined) throw this.#closed
    if (signal?.aborted) throw aborted(signal)
    const number = call(() => ask(sandbox, onLog !== undefined))
    const aside = (value: unknown) => {
      const { log } = value as { log?: string }
      if (log !== undefined) onLog?.(log)
      return log !== undefined
    }
    const stream = new Stream<Step, End>('answer', [number, together], signal, aside)
    if (this.#answers++ === 0) worker.ref()
    worker.postMessage(number)
    try {
      return yield* read(stream)
    } finally {
      // A thread that is being terminated keeps the event loop alive until that is done.
      if (--this.#answers === 0 && this.#closed === undefined) worker.unref()
    }
  }

  /** Answers a prompt. `onToken` is told of the answer as it comes. */
  async generate(prompt: Prompt, options: GenerateOptions = {}): Promise<SandboxResult> {
    return last(this.#answer(prompt, options, options.onToken === undefined))
  }

  /** Ends what is in progress with `REALM_CLOSED`, and the thread. It may be called again. */
  async close(): Promise<void> {
    if (this.#host !== undefined) return this.#host.close()
    await this.#end(new RealmError('REALM_CLOSED', 'realm: the sandbox is closed'))
    await this.#opened.catch(() => {})
  }

  /** close, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(reason: RealmError): Promise<void> {
    this.#closed ??= reason
    // The addon first: a thread within a call of it cannot be terminated.
    if (this.#sandbox !== undefined) native.closeSandbox(this.#sandbox)
    await this.#worker?.terminate()
  }

  async #open(): Promise<{ sandbox: number; worker: Worker }> {
    const { model, guest, memoryLimit = 0, fuel, timeout, cacheLimit, outputLimit, hostCallLimit } = this.#options
    const { number, module, checked } = await compile(guest, memoryLimit)
    const limits = JSON.stringify({ fuel, timeout, cacheLimit, outputLimit, hostCallLimit })
    const sandbox = await run<number>('openSandbox', [model, number, limits])
    this.#sandbox = sandbox
    if (this.#closed !== undefined) {
      native.closeSandbox(sandbox)
      throw this.#closed
    }
    const workerData: ThreadData = { sandbox, model, guest: module, check: !checked.done }
    const { REALM_ADDON } = process.env // the thread must load the addon that this one has
    const env = REALM_ADDON === undefined ? {} : { REALM_ADDON }
    const worker = new Worker(files.thread, { workerData, env, execArgv: [], name: 'realm' })
    this.#worker = worker
    worker.once('error', (cause) => {
      this.#end(new RealmError('REALM_INTERNAL', `realm: the sandbox's thread failed: ${cause.message}`, { cause }))
    })
    worker.once('exit', () => this.#end(new RealmError('REALM_CLOSED', "realm: the sandbox's thread has ended")))
    const report = await new Promise<ThreadReport | undefined>((resolve) => {
      worker.once('message', resolve)
      worker.once('exit', () => resolve(undefined))
    })
    if (report?.ready) {
      checked.done = true
      if (this.#answers === 0) worker.unref()
      return { sandbox, worker }
    }
    // A sandbox that was closed meanwhile says so, not what that did to the guest.
    const error = this.#closed ?? toRealmError(report?.error)
    await this.#end(error)
    throw error
  }
}

/** A module that is patched and compiled. Threads share its code. */
interface Compiled {
  number: number
  module: WebAssembly.Module
  /** Its version was. */
  checked: { done: boolean }
}

/** The modules that were used last, by their content and the limit that is written into them. */
const compiled = new Map<string, Promise<Compiled>>()
const most = 8

async function compile(guest: GuestSource | undefined, memoryLimit: number): Promise<Compiled> {
  // The guest that ships stays as it is: it is read once.
  const bytes = guest === undefined ? undefined : await guestBytes(guest)
  const digest = bytes === undefined ? '' : createHash('sha256').update(bytes).digest('hex')
  const key = `${digest} ${memoryLimit}`
  let entry = compiled.get(key)
  if (entry === undefined) {
    entry = (async () => {
      const number = await run<number>('patchGuest', [bytes ?? (await guestBytes()), memoryLimit])
      try {
        const module = await WebAssembly.compile(native.guestModule(number))
        return { number, module, checked: { done: false } }
      } catch (cause) {
        native.dropGuest(number)
        throw new RealmError('REALM_INVALID_FORMAT', `realm: the guest: ${(cause as Error).message}`, { cause })
      }
    })()
    entry.catch(() => compiled.delete(key))
  }
  compiled.delete(key)
  compiled.set(key, entry)
  for (const [oldest, old] of compiled) {
    if (compiled.size <= most) break
    compiled.delete(oldest)
    old.then(({ number }) => native.dropGuest(number)).catch(() => {})
  }
  return entry
}

/** The bytes of a guest, by default of the one that ships with the package. */
export function guestBytes(guest: GuestSource = files.guest): Promise<Uint8Array> | Uint8Array {
  return typeof guest === 'string' || guest instanceof URL ? read(guest) : view(guest)
}

async function read(path: string | URL): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new RealmError(missing ? 'REALM_NOT_FOUND' : 'REALM_IO', `realm: the guest: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** The bytes of a buffer, which who gave it may change later. */
function view(source: ArrayBufferView | ArrayBuffer): Uint8Array {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0))
  throw new RealmError(
    'REALM_INVALID_ARGUMENT',
    'realm: the guest is to be a path, or a buffer with a WebAssembly module',
  )
}
