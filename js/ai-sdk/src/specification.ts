// What versions 3 and 4 of the AI SDK's language model specification have in common, as far as this package uses it.
// index.ts and v4.ts hold these types to the library's own, which differ between releases of @ai-sdk/provider.

/** What the library calls doGenerate and doStream with. */
export interface CallOptions {
  prompt: readonly CallMessage[]
  maxOutputTokens?: number | undefined
  temperature?: number | undefined
  stopSequences?: string[] | undefined
  topP?: number | undefined
  topK?: number | undefined
  presencePenalty?: number | undefined
  frequencyPenalty?: number | undefined
  responseFormat?: { type: 'text' | 'json' } | undefined
  seed?: number | undefined
  tools?: readonly unknown[] | undefined
  /** Effort of reasoning: in version 4. */
  reasoning?: string | undefined
  includeRawChunks?: boolean | undefined
  abortSignal?: AbortSignal | undefined
  providerOptions?: Record<string, Record<string, unknown>> | undefined
}

/** A turn of a prompt. Only a system message's content is text as it stands. */
export interface CallMessage {
  role: 'system' | 'user' | 'assistant' | 'tool'
  content: string | readonly CallPart[]
}

/** A part of a turn. Text and reasoning have text; every other kind is unsupported, whatever it has. */
export interface CallPart {
  type: string
  text?: string
}

export interface Warning {
  type: 'unsupported'
  feature: string
  details?: string
}

export interface FinishReason {
  unified: 'stop' | 'length' | 'error'
  raw: string | undefined
}

export interface Usage {
  inputTokens: {
    total: number | undefined
    noCache: number | undefined
    cacheRead: number | undefined
    cacheWrite: number | undefined
  }
  outputTokens: { total: number | undefined; text: number | undefined; reasoning: number | undefined }
  raw?: { promptTokens: number; completionTokens: number }
}

export interface ResponseMetadata {
  id: string
  timestamp: Date
  modelId: string
}

/** What a sandbox took for an answer, under the name of the provider. */
export type ProviderMetadata = Record<string, Record<string, number | Record<string, number>>>

export interface GenerateResult {
  content: { type: 'text'; text: string }[]
  finishReason: FinishReason
  usage: Usage
  warnings: Warning[]
  response: ResponseMetadata
  providerMetadata?: ProviderMetadata
}

export type StreamPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | ({ type: 'response-metadata' } & ResponseMetadata)
  | { type: 'raw'; rawValue: unknown }
  | { type: 'text-start' | 'text-end'; id: string }
  | { type: 'text-delta'; id: string; delta: string }
  | { type: 'error'; error: unknown }
  | { type: 'finish'; finishReason: FinishReason; usage: Usage; providerMetadata?: ProviderMetadata }

export interface StreamResult {
  stream: ReadableStream<StreamPart>
}
