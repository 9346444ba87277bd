import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  getEnvironmentData,
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  setEnvironmentData,
  Worker,
} from 'node:worker_threads'
import files from '../../native/files.cjs'
import { RealmError } from '../errors.js'
import type { Backend, ModelInfo, OperationCallback } from '../native.js'
import type { Answered, Asked, HelperData, HostSettings } from './messages.js'

/** Session numbers of hosts are above those of the addon: that of the host times this, and the session's own. */
const hostUnit = 2 ** 32

/** Whether a session is one of a host process. */
export const isHostSession = (session: number) => session >= hostUnit

/** Which arguments are buffers that a function writes to. `room` are those whose old content does not matter. */
const written: Record<string, { at: number; room: boolean }> = {
  getTensor: { at: 2, room: true },
  embedTokens: { at: 2, room: true },
  forwardLayer: { at: 2, room: false },
  computeLogits: { at: 2, room: true },
}

/** Functions whose first argument is a session. */
const ofSessions = new Set(['closeSession', 'embedTokens', 'forwardLayer', 'computeLogits'])

/** What is heard of an operation: a chunk or its result, or why it failed. */
type Outcome = { value: unknown; host: number } | { error: unknown }

interface Operation {
  /** May return how many chunks were taken, as an OperationCallback does. */
  take: (outcome: Outcome, last: boolean) => number | undefined
  /** Where the result's body goes. */
  into: Uint8Array | undefined
}

/**
 * The functions of a host process, for this thread. A thread of its own talks to the process, so that synchronous calls can
 * wait for that one.
 */
export class ProcessBackend implements Backend {
  readonly #port: MessagePort
  readonly #signal = new Int32Array(new SharedArrayBuffer(4))
  readonly #operations = new Map<number, Operation>()
  /** What came while a synchronous call waited for something else. */
  readonly #late: Answered[] = []
  #last = 0
  #host = 1

  constructor(settings: HostSettings) {
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const workerData: HelperData = { settings, port: port2, signal: this.#signal.buffer as SharedArrayBuffer }
    const worker = new Worker(files.helper, { workerData, transferList: [port2], execArgv: [], name: 'realm-host' })
    worker.unref()
    port1.on('message', (message: Answered) => {
      this.#late.push(message)
      this.#deliver()
    })
    port1.unref()
  }

  /** The number of the host that there is, as far as is known. It goes up when a host ends. */
  get host(): number {
    return this.#host
  }

  storeModel(source: string | ArrayBufferView | ArrayBuffer): number {
    return this.#call('storeModel', source) as number
  }

  getModelInfo(modelId: number): ModelInfo {
    return this.#call('getModelInfo', modelId) as ModelInfo
  }

  getTensor(modelId: number, name: string, into?: ArrayBufferView | ArrayBuffer): ArrayBuffer {
    const to = into ?? new ArrayBuffer(4 * this.tensorLength(modelId, name))
    this.#call('getTensor', modelId, name, to)
    return to as ArrayBuffer
  }

  tensorLength(modelId: number, name: string): number {
    return this.#call('tensorLength', modelId, name) as number
  }

  removeModel(modelId: number): void {
    this.#call('removeModel', modelId)
  }

  createSession(modelId: number): number {
    const { value, host } = this.#wait('createSession', modelId)
    return host * hostUnit + (value as number)
  }

  closeSession(session: number): void {
    this.#call('closeSession', session)
  }

  embedTokens(session: number, tokens: Int32Array, into: Float32Array): void {
    this.#call('embedTokens', session, tokens, into)
  }

  forwardLayer(session: number, layer: number, hidden: Float32Array, position: number): void {
    this.#call('forwardLayer', session, layer, hidden, position)
  }

  computeLogits(session: number, hidden: Float32Array, into: Float32Array): void {
    this.#call('computeLogits', session, hidden, into)
  }

  start(name: string, callback: OperationCallback, ...args: unknown[]): number {
    return this.startOn(0, name, callback, ...args)
  }

  /** start for what only the host of a number has. With another one it fails with `REALM_HOST_DIED`. 0 is any. */
  startOn(host: number, name: string, callback: OperationCallback, ...args: unknown[]): number {
    return this.#begin(host, name, args, (outcome, last) => {
      if ('error' in outcome) return callback(outcome.error, undefined, last)
      return callback(undefined, outcome.value, last)
    })
  }

  cancel(operation: number): void {
    if (this.#operations.has(operation)) this.#ask({ what: 'cancel', id: operation })
  }

  acknowledge(operation: number, chunks: number): void {
    if (this.#operations.has(operation)) this.#ask({ what: 'acknowledge', id: operation, chunks })
  }

  #call(name: string, ...args: unknown[]): unknown {
    return this.#wait(name, ...args).value
  }

  /** Calls a function and waits for what comes of it. What comes of others meanwhile is theirs to see later. */
  #wait(name: string, ...args: unknown[]): { value: unknown; host: number } {
    let outcome: Outcome | undefined
    const id = this.#begin(0, name, args, (what) => {
      outcome = what
      return undefined
    })
    while (outcome === undefined) {
      const seen = Atomics.load(this.#signal, 0)
      const received = receiveMessageOnPort(this.#port) as { message: Answered } | undefined
      if (received === undefined) Atomics.wait(this.#signal, 0, seen)
      else if (received.message.id === id) this.#take(received.message)
      else if (this.#late.push(received.message) === 1) setImmediate(() => this.#deliver())
    }
    if ('error' in outcome) throw outcome.error
    return outcome
  }

  /** Begins a call and returns its number. */
  #begin(host: number, name: string, args: unknown[], take: Operation['take']): number {
    this.#last = (this.#last + 1) % 2 ** 31
    const id = this.#last
    const asked: Extract<Asked, { what: 'call' }> = { what: 'call', id, head: '', body: [], host }
    const values = [...args]
    const [first] = values
    if (typeof first === 'number' && isHostSession(first) && ofSessions.has(name)) {
      asked.host = Math.floor(first / hostUnit)
      values[0] = first % hostUnit
    } else if (typeof first === 'string' && (name === 'storeModel' || name === 'loadModel')) {
      // The process has a working directory of its own.
      values[0] = first === '' || (name === 'loadModel' && /^(hf|https?|file):/.test(first)) ? first : resolve(first)
      asked.stores = values[0] as string
    } else if (typeof first === 'number' && name === 'removeModel') {
      asked.removes = first
    }
    let into: Uint8Array | undefined
    const heads = values.map((value, at) => {
      const bytes = view(value)
      if (bytes === undefined) return typeof value === 'object' && value !== null ? {} : (value ?? null)
      const writes = written[name]?.at === at
      if (writes) into = bytes
      if (writes && written[name]?.room) return { room: bytes.length }
      asked.body.push(bytes.slice())
      return writes ? { bytes: bytes.length, back: true } : { bytes: bytes.length }
    })
    asked.head = JSON.stringify({ name, args: heads })
    if (this.#operations.size === 0) this.#port.ref()
    this.#operations.set(id, { take, into })
    this.#ask(asked)
    return id
  }

  #ask(asked: Asked): void {
    this.#port.postMessage(asked, asked.what === 'call' ? asked.body.map(({ buffer }) => buffer as ArrayBuffer) : [])
  }

  #deliver(): void {
    try {
      for (let message = this.#late.shift(); message !== undefined; message = this.#late.shift()) this.#take(message)
    } finally {
      if (this.#late.length > 0) setImmediate(() => this.#deliver()) // a callback threw
    }
  }

  #take({ id, kind, head, body, host }: Answered): void {
    this.#host = host
    const operation = this.#operations.get(id)
    if (operation === undefined) return
    const value: unknown = JSON.parse(head) ?? undefined
    if (kind !== 'chunk') {
      this.#operations.delete(id)
      if (this.#operations.size === 0) this.#port.unref()
      if (kind === 'result' && body !== undefined) operation.into?.set(new Uint8Array(body))
    }
    const taken = operation.take(kind === 'error' ? { error: value } : { value, host }, kind !== 'chunk')
    if (taken !== undefined) this.acknowledge(id, taken)
  }
}

/** The bytes of a buffer; undefined for what is none. */
function view(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined
}

const inherited = 'realm:host'

let backend: { functions: ProcessBackend; program: string } | undefined

/**
 * The host process of this thread, which the first call starts. A thread uses the host of the thread that started it, where
 * that had one by then.
 */
export function processBackend(hostPath?: string): ProcessBackend {
  if (backend === undefined) {
    const outer = getEnvironmentData(inherited) as HostSettings | undefined
    const settings = outer !== undefined ? { ...outer, connect: true } : newHost(hostPath)
    backend = { functions: new ProcessBackend(settings), program: settings.program }
  }
  if (hostPath !== undefined && hostPath !== backend.program) {
    const message = `realm: the host process of this thread is ${backend.program}, so it cannot be ${hostPath}`
    throw new RealmError('REALM_CONFLICT', message)
  }
  return backend.functions
}

/** Settings of a host that this thread owns. Threads that it starts from now on inherit them. */
function newHost(hostPath: string | undefined): HostSettings {
  const program = hostPath ?? files.command()
  // Node and Go know no kind of local socket in common on Windows.
  const socket = process.platform === 'win32' ? '' : join(tmpdir(), `realm-${randomBytes(8).toString('hex')}`, 'host')
  const settings = { program, socket, connect: false }
  if (socket !== '') setEnvironmentData(inherited, { ...settings })
  return settings
}
