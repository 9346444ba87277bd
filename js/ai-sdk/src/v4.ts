import type { ProviderV4 } from '@ai-sdk/provider'
import type { RealmLanguageModel } from './model.js'
import { makeProvider, type ProviderBase, type RealmProviderSettings } from './provider.js'

export type { RealmLanguageModel } from './model.js'
export type { RealmProviderOptions } from './options.js'
export type { RealmProviderSettings } from './provider.js'

/** Models for AI SDK 7, in its own version of the specification. */
export interface RealmProvider extends ProviderBase<RealmLanguageModel<'v4'>> {
  readonly specificationVersion: 'v4'
}

/** Makes a provider. */
export function createRealm(settings: RealmProviderSettings = {}): RealmProvider {
  return makeProvider('v4', settings) satisfies ProviderV4
}

/** The provider of models that answer without a sandbox. */
export const realm = createRealm()
