// What runs in the thread of a sandbox: a guest under V8, its imports bound to the addon. The addon has the host functions,
// WASI, limits and errors; this file instantiates, calls exports, and says what came of that.
import { parentPort, workerData } from 'node:worker_threads'
import { native } from './native.js'

/** What the thread is started with. */
export interface ThreadData {
  sandbox: number
  /** The id of the model that the guest prepares itself for. */
  model: number
  guest: WebAssembly.Module
  /** The module's version is to be checked, which nobody has done yet. */
  check: boolean
}

/** What the thread says when it is prepared, or cannot be. */
export type ThreadReport =
  | { ready: true }
  | { ready: false; error: { code?: string; message: string; goStack?: string } }

const { sandbox, model, guest, check } = workerData as ThreadData
const names = native.getGuestNames()

/** The task that the guest runs for, and the cell that Go finds the fuel counter in, and leaves results of 64 bits. */
let task = 0
const cell = new BigInt64Array(2)

class Instance {
  readonly #exports: WebAssembly.Exports
  readonly memory: WebAssembly.Memory
  readonly fuel: WebAssembly.Global<bigint>
  /** Whether the guest was refused memory. */
  readonly denied: WebAssembly.Global<number>
  readonly globals: WebAssembly.Global[] = []

  constructor() {
    const imports: WebAssembly.Imports = {
      [names.meterModule]: {
        [names.refill]: (counter: bigint) => {
          cell[0] = counter
          native.refillTask(task, cell)
          return cell[0]
        },
      },
    }
    for (const [index, { module, name, result }] of names.imports.entries()) {
      const call = this.#bind(index, result)
      imports[module] ??= {}
      const functions = imports[module]
      functions[name] =
        name === names.emit
          ? (a: number, b: number, c: number) => {
              waitForRoom()
              return call(a, b, c)
            }
          : call
    }
    this.#exports = new WebAssembly.Instance(guest, imports).exports
    this.memory = this.#exports[names.memory] as WebAssembly.Memory
    this.fuel = this.#exports[names.fuel] as WebAssembly.Global<bigint>
    this.denied = this.#exports[names.denied] as WebAssembly.Global<number>
    for (const [name, value] of Object.entries(this.#exports)) {
      if (name.startsWith(names.globals)) this.globals.push(value as WebAssembly.Global)
    }
  }

  #bind(index: number, result: string) {
    return (a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown, g?: unknown, h?: unknown) => {
      const fuel = this.fuel.value
      cell[0] = fuel
      const value = native.hostCall(task, index, this.memory.buffer, cell, a, b, c, d, e, f, g, h)
      if (cell[0] !== fuel) this.fuel.value = cell[0]
      return result === 'I' ? cell[1] : value
    }
  }

  has(name: string): boolean {
    return typeof this.#exports[name] === 'function'
  }

  /** Calls an export. Where the guest traps, or the host stops it, the task notes why, and the result is undefined. */
  call(name: string, ...args: number[]): number | undefined {
    try {
      return (this.#exports[name] as (...args: number[]) => number | undefined)(...args) ?? 0
    } catch (error) {
      const { message } = error as Error
      const overflow = error instanceof RangeError
      native.failTask(task, name, message, overflow, this.denied.value !== 0, this.memory.buffer, this.#cell())
      return undefined
    }
  }

  end(): void {
    native.endTask(task, this.memory.buffer, this.#cell())
  }

  #cell(): BigInt64Array {
    cell[0] = this.fuel.value
    return cell
  }
}

/** Waits until a chunk can be emitted, in calls that are short, between which the thread can be terminated. */
function waitForRoom(): void {
  while (!native.taskRoom(task));
}

/** Makes an instance and runs the module's initialisation. */
function start(): Instance {
  const instance = new Instance()
  native.fillGuest(sandbox, instance.memory.buffer)
  task = native.prepareTask(sandbox, false)
  for (const name of names.start) {
    if (instance.has(name) && instance.call(name) === undefined) break
  }
  instance.end()
  return instance
}

/** What each request starts from: globals, and a memory that the addon keeps, of a guest that has prepared itself. */
class Image {
  readonly #bytes: number
  readonly #globals: (number | bigint)[]
  /** An instance that is as the image says, or is to be made so again. */
  #instance: Instance | undefined
  #clean = true

  constructor() {
    const instance = start()
    instance.fuel.value = 0n
    task = native.prepareTask(sandbox, true)
    if (instance.has(names.prepare)) {
      const result = instance.call(names.prepare, model)
      if (result !== undefined) native.refuseTask(task, names.prepare, result)
    }
    instance.end()
    this.#globals = instance.globals.map((global) => global.value)
    this.#bytes = instance.memory.buffer.byteLength
    native.keepImage(sandbox, instance.memory.buffer)
    this.#instance = instance
    this.#reset(instance)
  }

  /** An instance for a request, which is the only one. */
  take(): Instance {
    this.restore()
    this.#clean = false
    return this.#instance as Instance
  }

  /**
   * Makes the instance ready for the next request. One is used again and again: its memory and its globals are all that a
   * guest can change, and the memories of others would stay until V8 collects them. Only a memory that grew is left to that.
   */
  restore(): void {
    if (this.#clean) return
    const used = this.#instance
    this.#instance = undefined
    let instance = used
    if (instance?.memory.buffer.byteLength !== this.#bytes) {
      instance = new Instance()
      instance.memory.grow((this.#bytes - instance.memory.buffer.byteLength) / 65_536)
    }
    native.restoreImage(sandbox, instance.memory.buffer)
    this.#reset(instance)
    this.#instance = instance
    this.#clean = true
  }

  #reset(instance: Instance): void {
    for (const [i, value] of this.#globals.entries()) (instance.globals[i] as WebAssembly.Global).value = value
    instance.fuel.value = 0n
    instance.denied.value = 0
  }
}

/** Answers a request. */
function answer(request: number): void {
  const begun = native.beginTask(request)
  if (begun === undefined) return // nobody waits for it any more
  task = begun.task
  let instance: Instance
  try {
    instance = image.take()
  } catch (error) {
    // such as no address space for another memory
    const nothing = new ArrayBuffer(0)
    native.failTask(task, 'instantiation', (error as Error).message, false, true, nothing, cell)
    native.endTask(task, nothing, cell)
    return
  }
  const at = instance.call(names.alloc, begun.bytes)
  if (at !== undefined && native.putBody(task, at, instance.memory.buffer)) {
    const result = instance.call(names.generate, at, begun.bytes)
    if (result !== undefined) native.refuseTask(task, names.generate, result)
  }
  waitForRoom() // for text that comes with the end
  instance.end()
}

const report = (what: ThreadReport) => parentPort?.postMessage(what)

let image: Image
try {
  if (check) {
    // An instance of its own: what requests start from must not have run it.
    const instance = start()
    task = native.prepareTask(sandbox, false)
    const version = instance.call(names.version)
    instance.end()
    if (version !== undefined) native.checkVersion(version)
  }
  image = new Image()
  report({ ready: true })
} catch (error) {
  const { code, message, goStack } = error as { code?: string; message: string; goStack?: string }
  report({ ready: false, error: { message, ...(code && { code }), ...(goStack && { goStack }) } })
}

parentPort?.on('message', (request: number) => {
  answer(request)
  try {
    image.restore() // now, so that the next request need not wait for it
  } catch {
    // the next request will say so
  }
})
