import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { generate, generateStream, getModelInfo, removeModel, storeModel } from '@realm-ai/sdk'
import { command, needsReal, real, tiny } from './models.mjs'

const greedy = { temperature: 0, maxTokens: 24, ignoreEndOfGeneration: true }
let model

before(() => {
  model = storeModel(tiny)
})
after(() => removeModel(model))

async function collect(stream) {
  const chunks = []
  for (;;) {
    const step = await stream.next()
    if (step.done) return { chunks, result: step.value }
    chunks.push(step.value)
  }
}

test('a stream is the answer in pieces', async () => {
  const whole = await generate(model, 'One day', greedy)
  const heard = []
  const { chunks, result } = await collect(
    generateStream(model, 'One day', { ...greedy, onToken: (chunk) => heard.push(chunk) }),
  )
  assert.deepEqual(result, whole)
  assert.deepEqual(heard, chunks)
  assert.equal(chunks.map((c) => c.text).join(''), whole.text)
  const tokens = chunks.map((c) => c.token).filter((t) => t >= 0)
  assert.deepEqual(tokens, whole.tokens)
  assert.equal(whole.tokens.length, 24)
  assert.equal(whole.finishReason, 'length')
  assert.equal(whole.usage.completionTokens, 24)
  assert.ok(whole.usage.promptTokens > 0)
  assert.equal(whole.logprobs, undefined)
})

test('prompts are text, messages or tokens', async () => {
  const messages = await generate(model, [{ role: 'user', content: 'One day' }], greedy)
  const text = await generate(model, 'One day', greedy)
  assert.notDeepEqual(messages.usage.promptTokens, text.usage.promptTokens)
  assert.deepEqual(await generate(model, [1, 5, 9], greedy), await generate(model, Int32Array.of(1, 5, 9), greedy))
})

test('a seed repeats an answer, and logprobs come when asked for', async () => {
  const sampled = { ...greedy, temperature: 1.5, topK: 0, topP: 1, minP: 0 }
  const a = await generate(model, 'One day', { ...sampled, seed: 7 })
  assert.deepEqual(await generate(model, 'One day', { ...sampled, seed: 7n }), a)
  const b = await generate(model, 'One day', { ...sampled, seed: 2n ** 64n - 1n, logprobs: 3 })
  assert.notDeepEqual(b.tokens, a.tokens)
  assert.equal(b.logprobs.length, b.tokens.length)
  for (const [i, entry] of b.logprobs.entries()) {
    assert.equal(entry.id, b.tokens[i])
    assert.ok(entry.logprob <= 0)
    assert.equal(entry.top.length, 3)
    assert.ok(entry.top[0].logprob >= entry.top[2].logprob)
  }
  const banned = await generate(model, 'One day', { ...greedy, logitBias: { [a.tokens[0]]: -Infinity } })
  assert.ok(!banned.tokens.includes(a.tokens[0]))
})

test('leaving the loop, and a signal, end the work', async () => {
  let n = 0
  for await (const chunk of generateStream(model, 'One day', { ...greedy, maxTokens: 400 })) {
    assert.ok(chunk.token >= 0)
    if (++n === 3) break
  }
  const signal = AbortSignal.timeout(20)
  const { context_length } = getModelInfo(model)
  const long = Array.from({ length: context_length - 2 }, (_, i) => i % 200)
  await assert.rejects(
    (async () => {
      for (;;) await generate(model, long, { signal, temperature: 0 })
    })(),
    (error) => error.code === 'REALM_CANCELED' && error.cause === signal.reason,
  )
  await assert.rejects(generate(model, 'x', { signal }), { code: 'REALM_CANCELED' })
})

test('a slow reader holds the model up, not the memory', async () => {
  const stream = generateStream(model, 'One day', { ...greedy, maxTokens: 300 })
  await stream.next()
  await new Promise((resolve) => setTimeout(resolve, 300))
  const { chunks, result } = await collect(stream)
  assert.equal(chunks.length + 1, 300)
  assert.equal(result.tokens.length, 300)
})

test('errors of requests', async () => {
  const invalid = { code: 'REALM_INVALID_ARGUMENT' }
  await assert.rejects(generate(model, '', greedy), invalid)
  await assert.rejects(generate(model, [-1], greedy), invalid)
  await assert.rejects(generate(model, 'x', { ...greedy, maxTokens: -1 }), invalid)
  await assert.rejects(generate(model, 'x', { ...greedy, seed: -1 }), invalid)
  await assert.rejects(generate(model + 1, 'x', greedy), { code: 'REALM_NOT_FOUND' })
  const { context_length } = getModelInfo(model)
  await assert.rejects(generate(model, Array(context_length + 1).fill(1), greedy), { code: 'REALM_CONTEXT_LENGTH' })
})

test('answers at once are the answers alone', async () => {
  const prompts = ['One day', 'Pages went', 'A machine', 'The river', 'x', 'Bridges and', 'Seven', 'In the end']
  const alone = []
  for (const prompt of prompts) alone.push(await generate(model, prompt, greedy))
  assert.deepEqual(await Promise.all(prompts.map((prompt) => generate(model, prompt, greedy))), alone)
})

test('a removed model answers to the end', async () => {
  const id = storeModel(tiny)
  assert.equal(id, model)
  removeModel(id) // a reference of two
  removeModel(id)
  try {
    await assert.rejects(generate(id, 'x', greedy), { code: 'REALM_NOT_FOUND' })
    storeModel(tiny)
    const whole = await generate(id, 'One day', greedy)
    const stream = generateStream(id, 'One day', greedy)
    await stream.next()
    removeModel(id)
    assert.deepEqual((await collect(stream)).result, whole)
  } finally {
    model = storeModel(tiny)
  }
})

test('the tokens are those of the command line', needsReal, async () => {
  const id = storeModel(real)
  const system = 'You are a helpful AI assistant.'
  for (const content of ['What is the capital of France?', 'Count from one to ten.', 'Name three colours.']) {
    const messages = [
      { role: 'system', content: system },
      { role: 'user', content },
    ]
    const { text, finishReason } = await generate(id, messages, { temperature: 0, maxTokens: 40 })
    const args = ['run', '-m', real, '--system', system, '-p', content, '-n', '40', '--json']
    const { stdout } = await promisify(execFile)(command, args)
    const answer = JSON.parse(stdout)
    assert.equal(text, answer.text)
    assert.equal(finishReason, answer.finish_reason)
  }
  removeModel(id)
})
