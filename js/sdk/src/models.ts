import { type BackendOptions, backendOf, settle } from './backend.js'
import { RealmError, toRealmError } from './errors.js'
import type { ModelInfo } from './native.js'
import { run } from './operation.js'

/** A path of a GGUF file, which is mapped into memory, or the bytes of one, which are copied once. */
export type ModelSource = string | ArrayBufferView | ArrayBuffer

/** Where dequantized weights go. */
export interface TensorOptions extends BackendOptions {
  /** Holds the tensor's float32 values and is what is returned; without it there is a new buffer. */
  into?: ArrayBuffer
}

/** Options of a call that an AbortSignal can end. */
export interface Abortable {
  /** Ends the call with `REALM_CANCELED`, whose `cause` is the signal's reason. */
  signal?: AbortSignal | undefined
}

/** Calls a backend and turns its errors into RealmErrors. */
export function call<Result>(f: () => Result): Result {
  try {
    return f()
  } catch (error) {
    throw toRealmError(error)
  }
}

/**
 * Stores a model and returns its id, which comes from the SHA-256 of the file's bytes: storing the same content again, by
 * path or by bytes, gives the same id and keeps one copy. Each call is one reference, which removeModel gives back.
 *
 * `REALM_NOT_FOUND` where there is no such file, `REALM_INVALID_FORMAT` for what is no GGUF file or is cut short,
 * `REALM_UNSUPPORTED` for an architecture or dtype that Realm does not run.
 */
export function storeModel(source: ModelSource, options: BackendOptions = {}): number {
  return settle(
    call(() => backendOf(options).storeModel(source)),
    options,
  )
}

/** storeModel off the event loop. */
export async function storeModelAsync(source: ModelSource, options: Abortable & BackendOptions = {}): Promise<number> {
  const id = await run<number>('storeModel', [source], options.signal, undefined, backendOf(options))
  return settle(id, options)
}

/** Returns the shape and the sizes of a model. `REALM_NOT_FOUND` where none of that id is stored. */
export function getModelInfo(modelId: number, options: BackendOptions = {}): ModelInfo {
  return call(() => backendOf(options, modelId).getModelInfo(modelId))
}

/**
 * Dequantizes a tensor to float32, row after row: 4 bytes for each element, the weights that the model computes with.
 * `REALM_NOT_FOUND`, with the closest names, where there is none of that name.
 */
export function getTensor(modelId: number, name: string, options: TensorOptions = {}): ArrayBuffer {
  const { into } = options
  const backend = backendOf(options, modelId)
  if (into === undefined) return call(() => backend.getTensor(modelId, name)) as ArrayBuffer
  call(() => backend.getTensor(modelId, name, into))
  return into
}

/** getTensor off the event loop. */
export async function getTensorAsync(
  modelId: number,
  name: string,
  options: TensorOptions & Abortable = {},
): Promise<ArrayBuffer> {
  const backend = backendOf(options, modelId)
  const into = options.into ?? newBuffer(4 * call(() => backend.tensorLength(modelId, name)))
  await run('getTensor', [modelId, name, into], options.signal, undefined, backend)
  return into
}

export function newBuffer(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes)
  } catch (cause) {
    throw new RealmError('REALM_OUT_OF_MEMORY', `realm: no memory for an ArrayBuffer of ${bytes} bytes`, { cause })
  }
}

/**
 * Gives a reference to a model back. The last one frees it, as soon as no call uses it any more; its id is unknown from
 * then on.
 */
export function removeModel(modelId: number, options: BackendOptions = {}): void {
  call(() => backendOf(options, modelId).removeModel(modelId))
}
