import type { LanguageModelV4, ProviderV4 } from '@ai-sdk/provider'
import { makeProvider, type ProviderBase, type RealmProviderSettings } from './provider.js'

export type { RealmProviderOptions } from './options.js'
export type { RealmProviderSettings } from './provider.js'

/** Models for AI SDK 7, in its own version of the specification. */
export interface RealmProvider extends ProviderBase<LanguageModelV4>, ProviderV4 {
  languageModel(model: string | number): LanguageModelV4
  embeddingModel(modelId: string): never
  imageModel(modelId: string): never
}

/** Makes a provider. */
export function createRealm(settings: RealmProviderSettings = {}): RealmProvider {
  return makeProvider('v4', settings)
}

/** The provider of models that answer without a sandbox. */
export const realm = createRealm()
