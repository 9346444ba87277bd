import type { HostFunctions } from './abi.js'
import { type BackendOptions, backendOf } from './backend.js'
import type { Abortable } from './models.js'
import { Stream } from './operation.js'

/** One turn of a conversation, as in OpenAI's chat completions. */
export interface Message {
  /** Whose turn it is. */
  role: 'system' | 'user' | 'assistant' | 'tool'
  /** What was said. Control tokens written in it are plain text. */
  content: string
  /** What the assistant thought, where it is kept apart. */
  reasoning_content?: string
  /** Of the tool whose answer this is, or of the speaker. */
  name?: string
  /** The tools that the assistant called; `arguments` is a JSON object. */
  tool_calls?: { id?: string; type: 'function'; function: { name: string; arguments: string } }[]
  /** Of the call that this is the answer to. */
  tool_call_id?: string
}

/** A tool that the model may call. `parameters` is a JSON schema. */
export interface Tool {
  /** There is no other. */
  type: 'function'
  /** The function, as OpenAI's chat completions describe it. */
  function: { name: string; description?: string; parameters?: object }
}

/** How tokens are drawn from logits: llama.cpp's steps in its default order. What is left out has llama.cpp's default. */
export interface Sampling {
  /** Logits are divided by it before the draw; 0 takes the most probable token. Default 0.8. */
  temperature?: number
  /** Keep the K most probable tokens; 0 keeps all. Default 40. */
  topK?: number
  /** Keep the fewest tokens whose probabilities reach it; 1 keeps all. Default 0.95. */
  topP?: number
  /** Keep tokens at least this times as probable as the most probable one; 0 keeps all. Default 0.05. */
  minP?: number
  /** A recent token's logit is divided by it if positive, else multiplied; 1 is off. Default 1. */
  repeatPenalty?: number
  /** Subtracted from a recent token's logit once per occurrence. Default 0. */
  frequencyPenalty?: number
  /** Subtracted once from a recent token's logit. Default 0. */
  presencePenalty?: number
  /** How many tokens are recent; 0 turns the penalties off, -1 counts all. Default 64. */
  repeatLastN?: number
  /** Added to the logits of token IDs; -Infinity bans a token. */
  logitBias?: Record<number, number>
  /** The same seed gives the same tokens; a whole number of 64 bits. Default 0. */
  seed?: number | bigint
}

/** Options of an answer. */
export interface GenerateOptions extends Sampling, Abortable {
  /** Ends the answer after that many tokens. Without it there are as many as fit the context length. */
  maxTokens?: number
  /** Texts that end the answer, which they are not part of. */
  stop?: string[]
  /** Control tokens written in a prompt are read as such; without it they are plain text. */
  parseSpecial?: boolean
  /** Writes control tokens as their texts rather than as nothing. */
  special?: boolean
  /** Goes on when the model says that it is done. */
  ignoreEndOfGeneration?: boolean
  /** Reports the probability of each token, and of that many of the most probable ones in its place. */
  logprobs?: boolean | number
  /** Tools that the model may call. */
  tools?: Tool[]
  /** Called with each chunk, before it is yielded. */
  onToken?: (chunk: Chunk) => void
}

/** A token ID and the natural logarithm of its probability, -9999 for none at all, such as a banned token's. */
export interface TokenLogprob {
  /** Token ID. */
  id: number
  /** Natural logarithm of its probability. */
  logprob: number
}

/** A token of the answer, and the text that is complete with it. */
export interface Chunk {
  /** Whole characters; empty for part of one, or while it may be the start of a stop text. */
  text: string
  /** Token ID; -1 where text that was held back comes at the end. */
  token: number
  /** Natural logarithm of the token's probability, if asked for. */
  logprob?: number
  /** The most probable tokens, if asked for, the most probable first. */
  topLogprobs?: TokenLogprob[]
}

/** An answer. */
export interface Result {
  /** The answer, without the stop text that ended it. */
  text: string
  /** Token IDs of the answer, without the one that ended it. */
  tokens: number[]
  /** "stop": the model ended its turn, or a stop text came. "length": maxTokens, or the context length, was reached. */
  finishReason: 'stop' | 'length'
  /** How many tokens the prompt and the answer have. */
  usage: { promptTokens: number; completionTokens: number }
  /** Of each token, if asked for; `top` has the most probable ones in its place. */
  logprobs?: (TokenLogprob & { top: TokenLogprob[] })[]
}

/** A prompt that the model goes on with, a conversation, or token IDs. */
export type Prompt = string | Message[] | number[] | Int32Array

/** How an answer ended, as the addon has it. */
export interface Ending {
  text: string
  finishReason: Result['finishReason']
  usage: Result['usage']
  guest?: GuestUse
}

/** What a guest took for an answer. */
export interface GuestUse {
  /** Units of fuel, about one for each instruction. The same request takes the same. */
  fuel: number
  /** Bytes of the guest's linear memory at the end. */
  memoryBytes: number
  /** Bytes of tensors that entered the guest. */
  weightBytes: number
  /** Bytes of the KV cache at the end. */
  cacheBytes: number
  /** Calls of host functions, by name. */
  hostCalls: Partial<Record<keyof HostFunctions, number>>
}

/**
 * Answers a prompt, a token at a time. Leaving the loop, or the signal, ends the work within one layer of the model, the
 * prompt's included. The generator's return value is the whole answer.
 */
export function generateStream(
  modelId: number,
  prompt: Prompt,
  options: GenerateOptions & BackendOptions = {},
): AsyncGenerator<Chunk, Result, void> {
  return begin(modelId, prompt, options, false)
}

/** Begins an answer, whose chunks may come together where nobody looks at them before its end. */
async function* begin(
  modelId: number,
  prompt: Prompt,
  options: GenerateOptions & BackendOptions,
  together: boolean,
): AsyncGenerator<Chunk, Result, void> {
  const args = [modelId, request(modelId, prompt, options), together]
  const backend = backendOf(options, modelId)
  const stream = new Stream<Chunk, Ending>('generate', args, options.signal, undefined, backend)
  return yield* answer(stream, options)
}

/** Makes chunks and a result of an operation that answers. */
export async function* answer(
  stream: Stream<Chunk, Ending>,
  options: GenerateOptions,
): AsyncGenerator<Chunk, Result & { guest?: GuestUse }, void> {
  const texts: string[] = []
  const tokens: number[] = []
  const logprobs: NonNullable<Result['logprobs']> = []
  try {
    for (;;) {
      const step = await stream.next()
      const chunk: Chunk = step.done ? { text: step.value.text, token: -1 } : step.value
      texts.push(chunk.text)
      if (chunk.token >= 0) tokens.push(chunk.token)
      if (chunk.logprob !== undefined) {
        logprobs.push({ id: chunk.token, logprob: chunk.logprob, top: chunk.topLogprobs ?? [] })
      }
      if (!step.done || chunk.text !== '') {
        options.onToken?.(chunk)
        yield chunk
      }
      if (step.done) {
        const { finishReason, usage, guest } = step.value
        const result: Result & { guest?: GuestUse } = { text: texts.join(''), tokens, finishReason, usage }
        if (options.logprobs) result.logprobs = logprobs
        if (guest !== undefined) result.guest = guest
        return result
      }
    }
  } finally {
    await stream.return()
  }
}

/** Answers a prompt. `onToken` is told of the answer as it comes. */
export async function generate(
  modelId: number,
  prompt: Prompt,
  options: GenerateOptions & BackendOptions = {},
): Promise<Result> {
  return last(begin(modelId, prompt, options, options.onToken === undefined))
}

/** What a generator returns. */
export async function last<Result>(stream: AsyncGenerator<unknown, Result, void>): Promise<Result> {
  for (;;) {
    const step = await stream.next()
    if (step.done) return step.value
  }
}

/** request writes what the addon and guests read: docs/abi.md has its fields. */
export function request(modelId: number, prompt: Prompt, options: GenerateOptions): string {
  const text = typeof prompt === 'string'
  const messages = !text && typeof prompt[0] === 'object'
  const topLogprobs = typeof options.logprobs === 'number' ? options.logprobs : 0
  return JSON.stringify({
    model: modelId,
    ...(text ? { prompt } : messages ? { messages: prompt } : { tokens: Array.from(prompt as ArrayLike<number>) }),
    parse_special: options.parseSpecial,
    tools: options.tools,
    max_tokens: options.maxTokens,
    sampling: {
      temperature: options.temperature ?? 0.8,
      top_k: options.topK ?? 40,
      top_p: options.topP ?? 0.95,
      min_p: options.minP ?? 0.05,
      repeat_penalty: options.repeatPenalty ?? 1,
      frequency_penalty: options.frequencyPenalty,
      presence_penalty: options.presencePenalty,
      repeat_last_n: options.repeatLastN ?? 64,
      logit_bias: options.logitBias, // -Infinity is null in JSON, which the other side reads as such
      seed: String(options.seed ?? 0),
      top_logprobs: topLogprobs,
    },
    stop: options.stop,
    ignore_end_of_generation: options.ignoreEndOfGeneration,
    special: options.special,
    logprobs: options.logprobs === true || topLogprobs > 0,
  })
}
