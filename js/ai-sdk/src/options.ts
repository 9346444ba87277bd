import type { GenerateOptions } from '@realm-ai/sdk'
import type { CallOptions, Warning } from './specification.js'

/**
 * Settings of Realm that the AI SDK has no names for: `providerOptions: { realm: { minP: 0.1 } }`. The SDK's Sampling says what
 * they do.
 */
export type RealmProviderOptions = Pick<GenerateOptions, 'minP' | 'repeatPenalty' | 'repeatLastN' | 'logitBias'>

const own: ReadonlySet<string> = new Set<keyof RealmProviderOptions>([
  'minP',
  'repeatPenalty',
  'repeatLastN',
  'logitBias',
])

/** Makes options of an answer of a call's, and warnings of what there is nothing for. */
export function convertOptions(options: CallOptions): { settings: GenerateOptions; warnings: Warning[] } {
  const warnings: Warning[] = []
  const warn = (feature: string, details?: string) => {
    warnings.push({ type: 'unsupported', feature, ...(details !== undefined && { details }) })
  }
  if (options.tools?.length) warn('tools', 'The model is not told of the tools.')
  if (options.responseFormat?.type === 'json') {
    warn('responseFormat', 'Nothing holds the answer to JSON or to a schema.')
  }
  if (options.reasoning !== undefined && options.reasoning !== 'provider-default') warn('reasoning')
  const settings: Record<string, unknown> = {
    maxTokens: options.maxOutputTokens,
    temperature: options.temperature,
    stop: options.stopSequences,
    topP: options.topP,
    topK: options.topK,
    presencePenalty: options.presencePenalty,
    frequencyPenalty: options.frequencyPenalty,
    seed: options.seed,
  }
  for (const [name, value] of Object.entries(options.providerOptions?.realm ?? {})) {
    if (own.has(name)) settings[name] = value
    else warn(`providerOptions.realm.${name}`)
  }
  return { settings: settings as GenerateOptions, warnings }
}
