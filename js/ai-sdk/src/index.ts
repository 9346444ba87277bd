import type { ProviderV3 } from '@ai-sdk/provider'
import type { RealmLanguageModel } from './model.js'
import { makeProvider, type ProviderBase, type RealmProviderSettings } from './provider.js'

export type { RealmLanguageModel } from './model.js'
export type { RealmProviderOptions } from './options.js'
export type { RealmProviderSettings } from './provider.js'

/** Models for AI SDK 6 and, which adapts them itself, 7. */
export interface RealmProvider extends ProviderBase<RealmLanguageModel<'v3'>> {
  readonly specificationVersion: 'v3'
}

/** Makes a provider. */
export function createRealm(settings: RealmProviderSettings = {}): RealmProvider {
  return makeProvider('v3', settings) satisfies ProviderV3
}

/** The provider of models that answer without a sandbox. */
export const realm = createRealm()
