import files from '../native/files.cjs'

/** The functions that every backend has: see internal/bridge. They throw errors with a `code`. */
export interface Backend {
  storeModel(source: string | ArrayBufferView | ArrayBuffer): number
  getModelInfo(modelId: number): ModelInfo
  getTensor(modelId: number, name: string, into?: ArrayBufferView | ArrayBuffer): ArrayBuffer | number
  removeModel(modelId: number): void
  tensorLength(modelId: number, name: string): number
  createSession(modelId: number): number
  closeSession(session: number): void
  embedTokens(session: number, tokens: Int32Array, into: Float32Array): void
  forwardLayer(session: number, layer: number, hidden: Float32Array, position: number): void
  computeLogits(session: number, hidden: Float32Array, into: Float32Array): void
  /** Begins an operation: the function called `name`, which goes on while the event loop turns. */
  start(name: string, callback: OperationCallback, ...args: unknown[]): number
  cancel(operation: number): void
  acknowledge(operation: number, chunks: number): void
}

/** What `index.node` exports: a backend, and what runs guests under V8. See cmd/realm-node. */
export interface Native extends Backend {
  guestModule(module: number): ArrayBuffer
  dropGuest(module: number): void
  fillGuest(sandbox: number, memory: ArrayBuffer): void
  keepImage(sandbox: number, memory: ArrayBuffer): void
  restoreImage(sandbox: number, memory: ArrayBuffer): boolean
  getGuestNames(): GuestNames
  closeSandbox(sandbox: number): void
  requestAnswer(sandbox: number, request: string, logs: boolean): number
  requestRaw(sandbox: number, body: string | ArrayBufferView, seed: string, logs: boolean): number
  prepareTask(sandbox: number, withModel: boolean): number
  beginTask(request: number): { task: number; bytes: number } | undefined
  taskRoom(task: number): boolean
  putBody(task: number, at: number, memory: ArrayBuffer): boolean
  hostCall(task: number, index: number, memory: ArrayBuffer, cell: BigInt64Array, ...params: unknown[]): number
  refillTask(task: number, cell: BigInt64Array): void
  failTask(
    task: number,
    name: string,
    text: string,
    stackOverflow: boolean,
    memoryDenied: boolean,
    memory: ArrayBuffer,
    cell: BigInt64Array,
  ): void
  refuseTask(task: number, name: string, result: number): boolean
  checkVersion(version: number): void
  endTask(task: number, memory: ArrayBuffer, cell: BigInt64Array): void
}

/** The names through which a patched guest and its host meet. */
export interface GuestNames {
  /** The functions that guests may import, by the number that hostCall takes; types are i for an i32, I for an i64. */
  imports: { module: string; name: string; params: string; result: string }[]
  emit: string
  meterModule: string
  refill: string
  fuel: string
  denied: string
  /** Exports that start an instance, in this order, where they are. */
  start: string[]
  version: string
  prepare: string
  alloc: string
  generate: string
  memory: string
  /** The prefix of exported globals. */
  globals: string
}

/**
 * Called with chunks, a list at a time, and at the end with the result or an error. It may return how many chunks were taken
 * that it has not told of, as acknowledge does, but at no cost.
 */
export type OperationCallback = (error: unknown, value: unknown, last: boolean) => number | undefined

/** The shape and the sizes of a model. */
export interface ModelInfo {
  /** Tensors in the file. */
  tensor_count: number
  /** Bytes of all tensors, as they are quantized in the file. */
  total_size: number
  /** Bytes of the file. */
  file_size: number
  /** Empty where the file has none. */
  name: string
  /** Such as "llama". */
  architecture: string
  /** Transformer layers. */
  layers: number
  /** Values of a hidden state. */
  hidden_size: number
  /** Width of the feed-forward network. */
  ffn_size: number
  /** Query heads. */
  heads: number
  /** Key and value heads. */
  kv_heads: number
  /** Values of a head. */
  head_dim: number
  /** Logits of a token. */
  vocab_size: number
  /** Positions that a sequence may have. */
  context_length: number
}

let loaded: Native | undefined

/** The addon. It is loaded when it is first used, since not every platform has one, nor every program a use for it. */
export const native: Native = new Proxy({} as Native, {
  get(_, name) {
    loaded ??= files.addon() as Native
    return Reflect.get(loaded, name)
  },
})
