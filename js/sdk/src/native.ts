import addon from '../native/load.cjs'

/** What `index.node` exports. Its functions throw errors with a `code`; see cmd/realm-node. */
export interface Native {
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
  /** Begins an operation: the function called `name` on a thread of its own. */
  start(name: string, callback: OperationCallback, ...args: unknown[]): number
  cancel(operation: number): void
  acknowledge(operation: number, chunks: number): void
}

/** Called with each chunk, and at the end with the result or an error. */
export type OperationCallback = (error: unknown, value: unknown, last: boolean) => void

/** The shape and the sizes of a model. */
export interface ModelInfo {
  /** Tensors in the file. */
  tensor_count: number
  /** Bytes of all tensors, as they are quantized in the file. */
  total_size: number
  /** Bytes of the file. */
  file_size: number
  name: string
  architecture: string
  layers: number
  hidden_size: number
  ffn_size: number
  heads: number
  kv_heads: number
  head_dim: number
  vocab_size: number
  context_length: number
}

export const native = addon as Native
