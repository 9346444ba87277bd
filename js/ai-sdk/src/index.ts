import type { LanguageModelV3, ProviderV3 } from '@ai-sdk/provider'
import { makeProvider, type ProviderBase, type RealmProviderSettings } from './provider.js'

export type { RealmProviderOptions } from './options.js'
export type { RealmProviderSettings } from './provider.js'

/** Models for AI SDK 6 and, which adapts them itself, 7. */
export interface RealmProvider extends ProviderBase<LanguageModelV3>, ProviderV3 {
  languageModel(model: string | number): LanguageModelV3
  embeddingModel(modelId: string): never
  imageModel(modelId: string): never
}

/** Makes a provider. */
export function createRealm(settings: RealmProviderSettings = {}): RealmProvider {
  return makeProvider('v3', settings)
}

/** The provider of models that answer without a sandbox. */
export const realm = createRealm()
