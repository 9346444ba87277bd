import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createRealm, realm } from '@realm-ai/ai-sdk'
import { createRealm as createRealmV4 } from '@realm-ai/ai-sdk/v4'
import { generate, removeModel, storeModel } from '@realm-ai/sdk'
import * as ai7 from 'ai'
import * as ai6 from 'ai-6'
import { needsReal, real } from '../../sdk/test/models.mjs'

globalThis.AI_SDK_LOG_WARNINGS = false

const question = 'What is the capital of France?'
const system = 'You are a helpful AI assistant.'
const messages = [
  { role: 'system', content: system },
  { role: 'user', content: question },
]

let id
before(() => {
  if (real) id = storeModel(real)
})
after(() => {
  if (real) removeModel(id)
})

const libraries = [
  { name: 'AI SDK 6', ai: ai6, create: createRealm },
  { name: 'AI SDK 7', ai: ai7, create: createRealm },
  { name: 'AI SDK 7 with version 4 of the specification', ai: ai7, create: createRealmV4 },
]
for (const { name, ai, create } of libraries) {
  // The library's name of what comes before the conversation.
  const instructions = { [ai === ai6 ? 'system' : 'instructions']: system }

  describe(name, needsReal, () => {
    const provider = create()
    const model = provider(real)
    after(() => provider.close())
    const greedy = { model, temperature: 0, maxOutputTokens: 10 }

    test('text, usage and metadata', async () => {
      const result = await ai.generateText({ ...greedy, ...instructions, prompt: question })
      const own = await generate(id, messages, { temperature: 0, maxTokens: 10 })
      assert.equal(result.text, own.text)
      assert.match(result.text, /Paris/)
      assert.equal(result.finishReason, own.finishReason)
      assert.equal(result.usage.inputTokens, own.usage.promptTokens)
      assert.equal(result.usage.inputTokenDetails.noCacheTokens, own.usage.promptTokens)
      assert.equal(result.usage.outputTokens, own.usage.completionTokens)
      assert.equal(result.usage.totalTokens, own.usage.promptTokens + own.usage.completionTokens)
      assert.deepEqual(result.usage.raw, own.usage)
      assert.equal(result.response.modelId, real)
      assert.ok(result.response.id)
      assert.ok(Math.abs(result.response.timestamp - Date.now()) < 60_000)
      assert.deepEqual(result.warnings, [])
      assert.equal(result.providerMetadata, undefined)
    })

    test('a stream is the text in pieces', async () => {
      const result = ai.streamText({ ...greedy, ...instructions, prompt: question, includeRawChunks: true })
      const parts = []
      for await (const part of result.fullStream) parts.push(part)
      const own = await generate(id, messages, { temperature: 0, maxTokens: 10 })
      const deltas = parts.filter(({ type }) => type === 'text-delta').map(({ text }) => text)
      assert.equal(deltas.join(''), own.text)
      assert.ok(deltas.length > 3 && deltas.every((text) => text !== ''))
      const raw = parts.filter(({ type, rawValue }) => type === 'raw' && rawValue.token >= 0)
      assert.deepEqual(
        raw.map(({ rawValue }) => rawValue.token),
        own.tokens,
      )
      const others = parts.map(({ type }) => type).filter((type) => type !== 'text-delta' && type !== 'raw')
      assert.deepEqual(others, ['start', 'start-step', 'text-start', 'text-end', 'finish-step', 'finish'])
      assert.equal(await result.finishReason, own.finishReason)
      assert.equal((await result.usage).outputTokens, own.usage.completionTokens)
      assert.equal((await result.response).modelId, real)
    })

    test('settings are those of the SDK', async () => {
      const settings = { temperature: 1.5, topK: 50, topP: 0.9, presencePenalty: 0.5, frequencyPenalty: 0.25 }
      const own = { minP: 0.01, repeatPenalty: 1.1, repeatLastN: 32, logitBias: { 42: -1 } }
      const answers = []
      for (const seed of [1, 2]) {
        const providerOptions = { realm: own }
        const { text, finishReason } = await ai.generateText({
          ...greedy,
          ...settings,
          prompt: question,
          seed,
          stopSequences: ['\n\n'],
          providerOptions,
        })
        const options = { ...settings, ...own, seed, stop: ['\n\n'], maxTokens: 10 }
        const expected = await generate(id, messages.slice(1), options)
        assert.equal(text, expected.text)
        assert.equal(finishReason, expected.finishReason)
        answers.push(text)
      }
      assert.notEqual(answers[0], answers[1])
    })

    test('finish reasons', async () => {
      const short = await ai.generateText({ ...greedy, prompt: question, maxOutputTokens: 2 })
      assert.equal(short.finishReason, 'length')
      assert.equal(short.rawFinishReason, 'length')
      const stopped = await ai.generateText({ ...greedy, ...instructions, prompt: question, stopSequences: ['Paris'] })
      assert.equal(stopped.finishReason, 'stop')
      assert.match(stopped.text, /is $/)
    })

    test('a conversation', async () => {
      const turns = [{ role: 'user', content: 'My name is Ada.' }]
      for (const content of ['What is my name?', 'Spell it.']) {
        const { response } = await ai.generateText({ ...greedy, ...instructions, messages: turns })
        turns.push(...response.messages, { role: 'user', content: [{ type: 'text', text: content }] })
      }
      assert.deepEqual(
        turns.map(({ role }) => role),
        ['user', 'assistant', 'user', 'assistant', 'user'],
      )
      const plain = turns.map(({ role, content }) => ({
        role,
        content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
      }))
      const { text } = await ai.generateText({ ...greedy, ...instructions, messages: turns })
      const own = await generate(id, [messages[0], ...plain], { temperature: 0, maxTokens: 10 })
      assert.equal(text, own.text)
    })

    test('a signal ends an answer', async () => {
      const endless = { ...greedy, prompt: 'Count from one to a million.', maxOutputTokens: 4000 }
      const abortSignal = AbortSignal.timeout(20) // well before its end
      await assert.rejects(ai.generateText({ ...endless, abortSignal }), (error) => error === abortSignal.reason)
      const aborted = AbortSignal.abort()
      await assert.rejects(ai.generateText({ ...endless, abortSignal: aborted }), { name: 'AbortError' })

      const controller = new AbortController()
      let told = 0
      const result = ai.streamText({ ...endless, abortSignal: controller.signal, onAbort: () => told++ })
      const types = []
      for await (const { type } of result.fullStream) {
        types.push(type)
        if (types.length === 6) controller.abort()
      }
      assert.equal(types.at(-1), 'abort')
      assert.ok(types.length < 20)
      assert.equal(told, 1)
    })

    test('leaving a stream ends the answer', async () => {
      const prompt = [{ role: 'user', content: [{ type: 'text', text: 'Count from one to a million.' }] }]
      const { stream } = await model.doStream({ prompt, temperature: 0, maxOutputTokens: 4000 })
      const reader = stream.getReader()
      for (let i = 0; i < 4; i++) assert.equal((await reader.read()).done, false)
      await reader.cancel()
      assert.equal((await reader.read()).done, true)
    })

    test('what is not supported is a warning', async () => {
      const { warnings } = await ai.generateText({
        ...greedy,
        maxOutputTokens: 4,
        prompt: question,
        tools: { now: ai.tool({ inputSchema: ai.jsonSchema({ type: 'object' }) }) },
        providerOptions: { realm: { mirostat: 2 }, other: { x: 1 } },
        ...(ai === ai7 && { reasoning: 'high' }),
      })
      const features = warnings.map(({ type, feature }) => `${type} ${feature}`)
      const expected = ['tools', ...(ai === ai7 ? ['reasoning'] : []), 'providerOptions.realm.mirostat']
      assert.deepEqual(
        features,
        expected.map((feature) => `unsupported ${feature}`),
      )
      const prompt = [{ role: 'user', content: [{ type: 'text', text: question }] }]
      const json = await model.doGenerate({ prompt, responseFormat: { type: 'json' }, maxOutputTokens: 4 })
      assert.deepEqual(
        json.warnings.map(({ feature }) => feature),
        ['responseFormat'],
      )
    })

    test('or the error of the library', async () => {
      const image = { type: 'image', image: Buffer.from('89504e470d0a1a0a', 'hex') }
      const content = [{ type: 'text', text: question }, image]
      await assert.rejects(
        ai.generateText({ ...greedy, messages: [{ role: 'user', content }] }),
        (error) => ai.UnsupportedFunctionalityError.isInstance(error) && /file parts/.test(error.message),
      )
      const call = { toolCallId: '1', toolName: 'now' }
      const tools = [
        { role: 'user', content: question },
        { role: 'assistant', content: [{ type: 'tool-call', ...call, input: {} }] },
        { role: 'tool', content: [{ type: 'tool-result', ...call, output: { type: 'text', value: 'x' } }] },
      ]
      await assert.rejects(ai.generateText({ ...greedy, messages: tools }), ai.UnsupportedFunctionalityError.isInstance)
      assert.throws(() => provider.embeddingModel('x'), ai.NoSuchModelError.isInstance)
      assert.throws(() => provider.imageModel('x'), ai.NoSuchModelError.isInstance)
    })

    test('errors of the SDK', async () => {
      const missing = provider(`${real}.missing`)
      await assert.rejects(ai.generateText({ model: missing, prompt: 'x' }), { code: 'REALM_NOT_FOUND' })
      await assert.rejects(ai.generateText({ ...greedy, prompt: 'x', providerOptions: { realm: { minP: 'x' } } }), {
        code: 'REALM_INVALID_ARGUMENT',
      })
      const told = []
      const result = ai.streamText({
        ...greedy,
        prompt: 'word '.repeat(9000),
        onError: ({ error }) => told.push(error.code),
      })
      for await (const part of result.fullStream) if (part.type === 'error') told.push(part.error.code)
      assert.deepEqual(told, ['REALM_CONTEXT_LENGTH', 'REALM_CONTEXT_LENGTH'])
    })

    test('a sandbox', async () => {
      const boxed = create({ sandbox: { timeout: 60_000 } })
      const tight = create({ sandbox: { fuel: 1000 } })
      after(() => Promise.all([boxed.close(), tight.close()]))
      const direct = await ai.generateText({ ...greedy, prompt: question })
      const result = await ai.generateText({ ...greedy, model: boxed(real), prompt: question })
      assert.equal(result.text, direct.text)
      const { fuel, weightBytes, hostCalls } = result.providerMetadata.realm
      assert.ok(fuel > 0 && hostCalls.realm_forward === result.usage.outputTokens)
      assert.equal(weightBytes, 0)
      const stream = ai.streamText({ ...greedy, model: boxed(real), prompt: question })
      await stream.consumeStream()
      assert.equal(await stream.text, direct.text)
      const metadata = await (stream.finalStep ? (await stream.finalStep).providerMetadata : stream.providerMetadata)
      assert.deepEqual(metadata, result.providerMetadata)

      await assert.rejects(ai.generateText({ ...greedy, model: tight(real), prompt: question }), {
        code: 'REALM_FUEL_EXHAUSTED',
      })
    })

    test('models by id, and in a registry', async () => {
      const { text } = await ai.generateText({ ...greedy, prompt: question })
      const registry = ai.createProviderRegistry({ local: provider })
      for (const other of [provider(id), provider.languageModel(real), registry.languageModel(`local:${real}`)]) {
        assert.equal((await ai.generateText({ ...greedy, model: other, prompt: question })).text, text)
      }
    })

    test('a closed provider opens models again', async () => {
      const passing = create()
      const before = passing(real)
      await ai.generateText({ ...greedy, maxOutputTokens: 2, model: before, prompt: question })
      await passing.close()
      const ask = (model) => ai.generateText({ ...greedy, maxOutputTokens: 2, model, prompt: question })
      await assert.rejects(ask(before), { code: 'REALM_CLOSED' })
      await ask(passing(real))
      await passing.close()
    })
  })
}

test('the default provider', needsReal, async () => {
  const { text } = await ai6.generateText({ model: realm(real), system, prompt: question, temperature: 0 })
  assert.equal(text, (await generate(id, messages, { temperature: 0 })).text)
  await realm.close()
})
