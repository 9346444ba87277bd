import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { InMemoryCache } from '@langchain/core/caches'
import { InMemoryChatMessageHistory } from '@langchain/core/chat_history'
import { ContextOverflowError, ModelAbortError } from '@langchain/core/errors'
import { load } from '@langchain/core/load'
import {
  AIMessage,
  AIMessageChunk,
  ChatMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages'
import { StringOutputParser } from '@langchain/core/output_parsers'
import { ChatPromptTemplate, MessagesPlaceholder } from '@langchain/core/prompts'
import { RunnableWithMessageHistory } from '@langchain/core/runnables'
import { concat } from '@langchain/core/utils/stream'
import { ChatRealm } from '@realm-ai/langchain'
import { generate, removeModel, storeModel } from '@realm-ai/sdk'
import { needsReal, real } from '../../sdk/test/models.mjs'

const question = 'What is the capital of France?'
const system = 'You are a helpful AI assistant.'
const messages = [new SystemMessage(system), new HumanMessage(question)]
const own = [
  { role: 'system', content: system },
  { role: 'user', content: question },
]
const greedy = { temperature: 0, maxTokens: 10 }

describe('ChatRealm', needsReal, () => {
  let id
  let model
  before(() => {
    id = storeModel(real)
    model = new ChatRealm({ model: real, ...greedy })
  })
  after(async () => {
    await model.close()
    removeModel(id)
  })

  test('an answer, its usage and why it ended', async () => {
    const message = await model.invoke(messages)
    const { text, usage, finishReason } = await generate(id, own, greedy)
    assert.ok(AIMessage.isInstance(message))
    assert.equal(message.content, text)
    assert.match(text, /Paris/)
    assert.deepEqual(message.usage_metadata, {
      input_tokens: usage.promptTokens,
      output_tokens: usage.completionTokens,
      total_tokens: usage.promptTokens + usage.completionTokens,
    })
    assert.deepEqual(message.response_metadata, {
      tokenUsage: { ...usage, totalTokens: usage.promptTokens + usage.completionTokens },
      model: real,
      model_provider: 'realm',
      finish_reason: finishReason,
    })
    assert.equal((await model.invoke(messages, { maxTokens: 2 })).response_metadata.finish_reason, 'length')
  })

  test('a stream is the answer in pieces, and callbacks hear them', async () => {
    const heard = []
    const chunks = []
    const callbacks = [{ handleLLMNewToken: (text) => heard.push(text) }]
    for await (const chunk of await model.stream(messages, { callbacks })) {
      assert.ok(AIMessageChunk.isInstance(chunk))
      chunks.push(chunk)
    }
    const whole = await model.invoke(messages)
    const joined = chunks.reduce(concat)
    assert.equal(joined.content, whole.content)
    assert.equal(joined.usage_metadata.total_tokens, whole.usage_metadata.total_tokens)
    assert.equal(joined.response_metadata.finish_reason, 'stop')
    assert.ok(heard.length > 3)
    assert.equal(heard.join(''), whole.content)

    const also = []
    await model.invoke(messages, { callbacks: [{ handleLLMNewToken: (text) => also.push(text) }] })
    assert.deepEqual(also, heard)

    const events = model.streamEvents(messages)
    let text = ''
    for await (const piece of events.text) text += piece
    assert.equal(text, whole.content)
  })

  test('settings of the model and of a call', async () => {
    const settings = { temperature: 1.5, topK: 50, topP: 0.9, minP: 0.01, repeatPenalty: 1.1, repeatLastN: 32 }
    const more = { frequencyPenalty: 0.25, presencePenalty: 0.5, logitBias: { 42: -1 }, seed: 1, stop: ['\n\n'] }
    const sampled = new ChatRealm({ model: id, maxTokens: 10, ...settings, ...more })
    const expected = await generate(id, own, { maxTokens: 10, ...settings, ...more })
    assert.equal((await sampled.invoke(messages)).content, expected.text)
    const reseeded = await generate(id, own, { maxTokens: 10, ...settings, ...more, seed: 2 })
    assert.equal((await sampled.invoke(messages, { seed: 2 })).content, reseeded.text)
    assert.equal((await sampled.withConfig({ seed: 2 }).invoke(messages)).content, reseeded.text)
    assert.notEqual(reseeded.text, expected.text)
    const stopped = await model.invoke(messages, { stop: ['Paris'] })
    assert.match(stopped.content, /is $/)
    assert.equal(stopped.response_metadata.finish_reason, 'stop')
  })

  test('a chain, alone, in a batch and as a stream', async () => {
    const prompt = ChatPromptTemplate.fromMessages([
      ['system', system],
      ['human', 'What is the capital of {country}?'],
    ])
    const chain = prompt.pipe(model).pipe(new StringOutputParser())
    const inputs = [{ country: 'France' }, { country: 'Italy' }]
    const [france, italy] = await chain.batch(inputs)
    assert.match(france, /Paris/)
    assert.match(italy, /Rome/)
    assert.equal(await chain.invoke(inputs[0]), france)
    const pieces = []
    for await (const piece of await chain.stream(inputs[1])) pieces.push(piece)
    assert.equal(pieces.join(''), italy)
    assert.ok(pieces.length > 3)
  })

  test('a conversation with a history', async () => {
    const prompt = ChatPromptTemplate.fromMessages([
      ['system', system],
      new MessagesPlaceholder('history'),
      ['human', '{input}'],
    ])
    const history = new InMemoryChatMessageHistory()
    const chain = new RunnableWithMessageHistory({
      runnable: prompt.pipe(model),
      getMessageHistory: () => history,
      inputMessagesKey: 'input',
      historyMessagesKey: 'history',
    })
    const config = { configurable: { sessionId: '1' } }
    const conversation = [own[0]]
    for (const input of ['My name is Ada.', 'What is my name?']) {
      const { content } = await chain.invoke({ input }, config)
      conversation.push({ role: 'user', content: input })
      const { text } = await generate(id, conversation, greedy)
      assert.equal(content, text)
      conversation.push({ role: 'assistant', content: text })
    }
    assert.equal((await history.getMessages()).length, 4)
  })

  test('messages of every kind that is a text', async () => {
    const plain = await model.invoke(messages)
    const blocks = [
      new ChatMessage({ role: 'developer', content: system }),
      new HumanMessage([
        { type: 'text', text: question.slice(0, 10) },
        { type: 'text', text: question.slice(10) },
      ]),
    ]
    assert.equal((await model.invoke(blocks)).content, plain.content)
    const unsupported = { code: 'REALM_UNSUPPORTED' }
    const image = { type: 'image_url', image_url: 'data:image/png;base64,iVBORw0KGgo=' }
    const call = new AIMessage({ content: '', tool_calls: [{ id: '1', name: 'now', args: {} }] })
    const result = new ToolMessage({ content: 'x', tool_call_id: '1' })
    await assert.rejects(model.invoke([new HumanMessage([image])]), unsupported)
    await assert.rejects(model.invoke([...messages, call]), unsupported)
    await assert.rejects(model.invoke([...messages, result]), unsupported)
    await assert.rejects(model.invoke([new ChatMessage({ role: 'narrator', content: 'x' })]), unsupported)
  })

  test('a signal ends an answer', async () => {
    const endless = [new HumanMessage('Count from one to a million.')]
    const signal = AbortSignal.timeout(20) // well before its end
    await assert.rejects(
      model.invoke(endless, { signal, maxTokens: 4000 }),
      (error) => ModelAbortError.isInstance(error) && error.cause === signal.reason,
    )
    await assert.rejects(model.invoke(endless, { signal: AbortSignal.abort() }))
    await assert.rejects(model.invoke(endless, { timeout: 20, maxTokens: 4000 }))

    const controller = new AbortController()
    const texts = []
    await assert.rejects(async () => {
      for await (const { content } of await model.stream(endless, { signal: controller.signal, maxTokens: 4000 })) {
        if (texts.push(content) === 4) controller.abort()
      }
    })
    assert.ok(texts.length < 10)
    for await (const _ of await model.stream(endless, { maxTokens: 4000 })) break
  })

  test('errors', async () => {
    await assert.rejects(new ChatRealm({ model: `${real}.missing` }).invoke('x'), { code: 'REALM_NOT_FOUND' })
    await assert.rejects(model.invoke('x', { minP: 'x' }), { code: 'REALM_INVALID_ARGUMENT' })
    await assert.rejects(model.invoke('word '.repeat(9000)), (error) => {
      return ContextOverflowError.isInstance(error) && error.cause.code === 'REALM_CONTEXT_LENGTH'
    })
    const passing = new ChatRealm({ model: real, ...greedy })
    await passing.close()
    await assert.rejects(passing.invoke('x'), { code: 'REALM_CLOSED' })
  })

  test('a sandbox', async () => {
    const boxed = new ChatRealm({ model: real, ...greedy, sandbox: { timeout: 60_000 } })
    const tight = new ChatRealm({ model: real, ...greedy, sandbox: { fuel: 1000 } })
    after(() => Promise.all([boxed.close(), tight.close()]))
    const [first, second] = await boxed.batch([messages, messages])
    assert.equal(first.content, (await model.invoke(messages)).content)
    assert.equal(second.content, first.content)
    const { guest } = first.response_metadata
    assert.ok(guest.fuel > 0)
    assert.equal(guest.weightBytes, 0)
    assert.deepEqual(second.response_metadata.guest, guest)
    await assert.rejects(tight.invoke(messages), { code: 'REALM_FUEL_EXHAUSTED' })
  })

  test('it is written and read again', async () => {
    assert.equal(ChatRealm.lc_name(), 'ChatRealm')
    const text = JSON.stringify(model)
    assert.deepEqual(JSON.parse(text).kwargs, { model: real, temperature: 0, max_tokens: 10 })
    const again = await load(text, { optionalImportsMap: { 'langchain/chat_models/realm': { ChatRealm } } })
    after(() => again.close())
    assert.ok(again instanceof ChatRealm)
    assert.equal((await again.invoke(messages)).content, (await model.invoke(messages)).content)
  })

  test('caches tell models and settings apart', async () => {
    const cache = new InMemoryCache()
    const cached = new ChatRealm({ model: id, ...greedy, cache })
    const first = await cached.invoke(messages)
    assert.equal((await cached.invoke(messages)).usage_metadata.total_tokens, 0)
    const short = await new ChatRealm({ model: id, ...greedy, maxTokens: 2, cache }).invoke(messages)
    assert.notEqual(short.content, first.content)
    assert.notEqual((await cached.invoke(messages, { maxTokens: 3 })).usage_metadata.total_tokens, 0)
    const guest = (bytes) => new ChatRealm({ model: id, sandbox: { guest: bytes } })._identifyingParams()
    assert.deepEqual(guest(new Uint8Array([1])), guest(new Uint8Array([1]).buffer))
    assert.notDeepEqual(guest(new Uint8Array([1])), guest(new Uint8Array([2])))
    assert.equal(guest('guest.wasm').guest, 'guest.wasm')
  })

  test('what tracers are told', () => {
    assert.deepEqual(model.getLsParams({ stop: ['x'], maxTokens: 3 }), {
      ls_provider: 'realm',
      ls_model_name: real,
      ls_model_type: 'chat',
      ls_temperature: 0,
      ls_max_tokens: 3,
      ls_stop: ['x'],
    })
  })
})
