/** What the addon itself exports of the package's functions. Its errors have a code, and are no RealmErrors. */
import type { ModelInfo } from '../cjs/index.js'

export function storeModel(source: string | ArrayBufferView | ArrayBuffer): number
export function getTensor(modelId: number, name: string): ArrayBuffer
export function getModelInfo(modelId: number): ModelInfo
export function removeModel(modelId: number): void
