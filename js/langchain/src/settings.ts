import type { GenerateOptions } from '@realm-ai/sdk'

/** How an answer is drawn, and where it ends. What is left out has the SDK's default. */
export interface ChatRealmSettings
  extends Pick<
    GenerateOptions,
    | 'temperature'
    | 'topK'
    | 'topP'
    | 'minP'
    | 'repeatPenalty'
    | 'frequencyPenalty'
    | 'presencePenalty'
    | 'repeatLastN'
    | 'logitBias'
    | 'maxTokens'
    | 'stop'
  > {
  /** The same seed gives the same tokens. Default 0. */
  seed?: number
}

const names = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'repeatPenalty',
  'frequencyPenalty',
  'presencePenalty',
  'repeatLastN',
  'logitBias',
  'maxTokens',
  'stop',
  'seed',
] as const satisfies readonly (keyof ChatRealmSettings)[]

/** The settings among options, those that are there. */
export function pickSettings(options: ChatRealmSettings): ChatRealmSettings {
  return Object.fromEntries(names.map((name) => [name, options[name]]).filter(([, value]) => value !== undefined))
}
