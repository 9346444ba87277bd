export type { ErrorCode as HostErrorCode } from './abi.js'
export { Answerer, type AnswererOptions } from './answerer.js'
export type { BackendName, BackendOptions } from './backend.js'
export { type ErrorCode, RealmError } from './errors.js'
export {
  type Chunk,
  type GenerateOptions,
  type GuestUse,
  generate,
  generateStream,
  type Message,
  type Prompt,
  type Result,
  type Sampling,
  type TokenLogprob,
  type Tool,
} from './generate.js'
export {
  closeSession,
  computeLogits,
  computeLogitsAsync,
  createSession,
  embedTokens,
  embedTokensAsync,
  forwardLayer,
  forwardLayerAsync,
  type Tokens,
  type ValuesOptions,
} from './layers.js'
export { type LoadOptions, type LoadProgress, loadModel } from './load.js'
export {
  type Abortable,
  getModelInfo,
  getTensor,
  getTensorAsync,
  type ModelSource,
  removeModel,
  storeModel,
  storeModelAsync,
  type TensorOptions,
} from './models.js'
export type { ModelInfo } from './native.js'
export {
  type Emitted,
  type GuestSource,
  Realm,
  type RealmOptions,
  type RequestOptions,
  type RequestResult,
  type SandboxResult,
} from './sandbox.js'
