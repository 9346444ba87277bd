import { createHash } from 'node:crypto'
import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager'
import { ContextOverflowError, ModelAbortError } from '@langchain/core/errors'
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type LangSmithParams,
} from '@langchain/core/language_models/chat_models'
import { AIMessage, AIMessageChunk, type BaseMessage, type UsageMetadata } from '@langchain/core/messages'
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs'
import {
  Answerer,
  type AnswererOptions,
  type GuestSource,
  type GuestUse,
  type RealmError,
  type Result,
} from '@realm-ai/sdk'
import { convertMessages } from './messages.js'
import { type ChatRealmSettings, pickSettings } from './settings.js'

/** Fields of a ChatRealm: the model, whether it answers in a sandbox, and how. */
export interface ChatRealmFields extends BaseChatModelParams, AnswererOptions, ChatRealmSettings {}

/** Options of a call, which come before the fields. */
export interface ChatRealmCallOptions extends BaseChatModelCallOptions, ChatRealmSettings {
  stop?: string[]
}

/** A chat model that runs in this process, without a server. */
export class ChatRealm extends BaseChatModel<ChatRealmCallOptions> implements AsyncDisposable {
  readonly model: AnswererOptions['model']
  readonly settings: ChatRealmSettings
  override lc_serializable = true
  readonly #answerer: Answerer
  readonly #guest: string | undefined // what names it in a cache's key

  static override lc_name(): string {
    return 'ChatRealm'
  }

  constructor(fields: ChatRealmFields) {
    super(fields)
    this.model = fields.model
    this.settings = pickSettings(fields)
    this.#answerer = new Answerer(fields)
    this.#guest = typeof fields.sandbox === 'object' ? nameGuest(fields.sandbox.guest) : undefined
  }

  /** What LangChain calls models of this kind. */
  override _llmType(): string {
    return 'realm'
  }

  /** The key of a cache: what decides about an answer, but for its messages. */
  override _identifyingParams(): Record<string, unknown> {
    return { ...this.invocationParams(), ...(this.#guest !== undefined && { guest: this.#guest }) }
  }

  override invocationParams(options: ChatRealmSettings = {}): Record<string, unknown> {
    return { model: this.model, ...this.settings, ...pickSettings(options) }
  }

  /** What LangSmith is told of a call. */
  override getLsParams(options: this['ParsedCallOptions']): LangSmithParams {
    const { temperature, maxTokens, stop } = { ...this.settings, ...pickSettings(options) }
    return {
      ls_provider: 'realm',
      ls_model_name: String(this.model),
      ls_model_type: 'chat',
      ls_temperature: temperature,
      ls_max_tokens: maxTokens,
      ls_stop: stop,
    }
  }

  /** Answers messages; invoke and its like call it. */
  override async _generate(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    const texts: string[] = []
    let last: AIMessageChunk | undefined
    for await (const chunk of this._streamResponseChunks(messages, options, runManager)) {
      texts.push(chunk.text)
      last = chunk.message as AIMessageChunk
    }
    const text = texts.join('')
    const { usage_metadata, response_metadata } = last as AIMessageChunk
    const { input_tokens, output_tokens, total_tokens } = usage_metadata as UsageMetadata
    return {
      generations: [{ text, message: new AIMessage({ content: text, usage_metadata, response_metadata }) }],
      llmOutput: {
        tokenUsage: { promptTokens: input_tokens, completionTokens: output_tokens, totalTokens: total_tokens },
      },
    }
  }

  /** Pieces of text, and at the end a chunk without text that has the usage and why the answer ended. */
  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const { signal } = options
    const settings = { ...this.settings, ...pickSettings(options), signal }
    const answer = this.#answerer.generateStream(convertMessages(messages), settings)
    const texts: string[] = []
    try {
      for (;;) {
        const step = await answer.next()
        if (step.done) {
          yield this.#last(step.value)
          return
        }
        const { text } = step.value
        if (text === '') continue
        texts.push(text)
        const chunk = new ChatGenerationChunk({ text, message: new AIMessageChunk({ content: text }) })
        await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk })
        yield chunk
      }
    } catch (error) {
      throw convertError(error, texts.join(''), signal)
    } finally {
      await answer.return(undefined as never)
    }
  }

  /** Ends the sandbox, and gives the model back if it was opened here. It may be called again. */
  close(): Promise<void> {
    return this.#answerer.close()
  }

  /** close, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #last({ usage, finishReason, guest }: Result & { guest?: GuestUse }): ChatGenerationChunk {
    const { promptTokens, completionTokens } = usage
    const message = new AIMessageChunk({
      content: '',
      usage_metadata: {
        input_tokens: promptTokens,
        output_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
      },
      response_metadata: {
        model: String(this.model),
        model_provider: 'realm',
        finish_reason: finishReason,
        ...(guest !== undefined && { guest }),
      },
    })
    return new ChatGenerationChunk({ text: '', message })
  }
}

/** A guest decides what a model answers: its path, or what tells its bytes from others'. */
function nameGuest(guest: GuestSource | undefined): string | undefined {
  if (guest === undefined || typeof guest === 'string') return guest
  if (guest instanceof URL) return guest.href
  const bytes = ArrayBuffer.isView(guest) ? new Uint8Array(guest.buffer, guest.byteOffset, guest.byteLength) : guest
  return createHash('sha256').update(new Uint8Array(bytes)).digest('hex')
}

/** Makes LangChain's errors of those that it has, with ours as the cause. */
function convertError(error: unknown, text: string, signal: AbortSignal | undefined): unknown {
  const { code, message } = error as Partial<RealmError>
  if (code === 'REALM_CANCELED' && signal?.aborted) {
    const partial = new AIMessageChunk({ content: text })
    return Object.assign(new ModelAbortError(`${message}`, partial), { cause: signal.reason })
  }
  return code === 'REALM_CONTEXT_LENGTH' ? ContextOverflowError.fromError(error as RealmError) : error
}
