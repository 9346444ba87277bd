import { randomUUID } from 'node:crypto'
import type { Answerer, GuestUse, RealmError, Result } from '@realm-ai/sdk'
import { convertOptions } from './options.js'
import { convertPrompt } from './prompt.js'
import type {
  CallOptions,
  GenerateResult,
  ProviderMetadata,
  ResponseMetadata,
  StreamPart,
  StreamResult,
  Usage,
  Warning,
} from './specification.js'

export const providerName = 'realm'

type Answer = ReturnType<Answerer['generateStream']>
type Ended = Result & { guest?: GuestUse }

/** A language model of the AI SDK, of version 3 or 4 of its specification. */
export class RealmLanguageModel<Version extends 'v3' | 'v4'> {
  readonly provider = providerName
  readonly supportedUrls: Record<string, RegExp[]> = {}
  readonly #answerer: Answerer

  constructor(
    readonly specificationVersion: Version,
    readonly modelId: string,
    answerer: Answerer,
  ) {
    this.#answerer = answerer
  }

  /** Answers a prompt; generateText and its like call it. */
  async doGenerate(options: CallOptions): Promise<GenerateResult> {
    const { answer, warnings } = this.#ask(options, options.abortSignal)
    const result = await orReason(wholeOf(answer), options.abortSignal)
    const { text, finishReason } = result
    return {
      content: text === '' ? [] : [{ type: 'text', text }],
      finishReason: { unified: finishReason, raw: finishReason },
      usage: usageOf(result),
      warnings,
      response: this.#response(),
      ...metadataOf(result),
    }
  }

  /** Rejects where the answer does not begin; later errors are parts of the stream. */
  async doStream(options: CallOptions): Promise<StreamResult> {
    const { abortSignal, includeRawChunks = false } = options
    const left = new AbortController()
    const signal = abortSignal === undefined ? left.signal : AbortSignal.any([abortSignal, left.signal])
    const { answer, warnings } = this.#ask(options, signal)
    const first = await orReason(answer.next(), abortSignal)
    const head: StreamPart[] = [
      { type: 'stream-start', warnings },
      { type: 'response-metadata', ...this.#response() },
    ]
    const parts = streamParts(head, first, answer, includeRawChunks, abortSignal)
    const stream = new ReadableStream<StreamPart>(
      {
        async pull(controller) {
          const step = await parts.next()
          if (step.done) controller.close()
          else controller.enqueue(step.value)
        },
        cancel: (reason) => left.abort(reason),
      },
      { highWaterMark: 0 },
    )
    return { stream }
  }

  #ask(options: CallOptions, signal: AbortSignal | undefined): { answer: Answer; warnings: Warning[] } {
    const { settings, warnings } = convertOptions(options)
    const answer = this.#answerer.generateStream(convertPrompt(options.prompt), { ...settings, signal })
    return { answer, warnings }
  }

  #response(): ResponseMetadata {
    return { id: randomUUID(), timestamp: new Date(), modelId: this.modelId }
  }
}

async function wholeOf(answer: Answer): Promise<Ended> {
  for (;;) {
    const step = await answer.next()
    if (step.done) return step.value
  }
}

/** A promise's outcome, but where the signal is aborted its reason, as with fetch: that is what the library looks for. */
async function orReason<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  }
}

async function* streamParts(
  head: StreamPart[],
  first: Awaited<ReturnType<Answer['next']>>,
  answer: Answer,
  raw: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<StreamPart, void, void> {
  yield* head
  const id = '0'
  let begun = false
  let finish: StreamPart
  try {
    let step = first
    while (!step.done) {
      if (raw) yield { type: 'raw', rawValue: step.value }
      const { text } = step.value
      if (text !== '') {
        if (!begun) yield { type: 'text-start', id }
        begun = true
        yield { type: 'text-delta', id, delta: text }
      }
      step = await answer.next()
    }
    const { finishReason } = step.value
    finish = {
      type: 'finish',
      finishReason: { unified: finishReason, raw: finishReason },
      usage: usageOf(step.value),
      ...metadataOf(step.value),
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    yield { type: 'error', error }
    finish = {
      type: 'finish',
      finishReason: { unified: 'error', raw: (error as Partial<RealmError>).code },
      usage: usageOf(undefined),
    }
  }
  if (begun) yield { type: 'text-end', id }
  yield finish
}

/** Nothing is kept from one answer to the next, so there is nothing to say of a cache. */
function usageOf(result: Ended | undefined): Usage {
  const { promptTokens, completionTokens } = result?.usage ?? {}
  return {
    inputTokens: { total: promptTokens, noCache: promptTokens, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: completionTokens, text: completionTokens, reasoning: undefined },
    ...(result !== undefined && { raw: { ...result.usage } }),
  }
}

function metadataOf({ guest }: Ended): { providerMetadata?: ProviderMetadata } {
  return guest === undefined ? {} : { providerMetadata: { [providerName]: { ...guest } } }
}
