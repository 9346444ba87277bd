import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { generate, generateStream, Realm, RealmError, removeModel, storeModel } from '@realm-ai/sdk'
import { command, long, needsReal, real, tiny } from './models.mjs'

const greedy = { temperature: 0, maxTokens: 24, ignoreEndOfGeneration: true }
let model
before(() => {
  model = storeModel(tiny)
})
after(() => removeModel(model))

async function withRealm(options, use) {
  const realm = new Realm({ model, ...options })
  try {
    return await use(realm)
  } finally {
    await realm.close()
  }
}

async function collect(stream) {
  const chunks = []
  for (;;) {
    const step = await stream.next()
    if (step.done) return { chunks, result: step.value }
    chunks.push(step.value)
  }
}

const withoutGuest = ({ guest, ...result }) => result

test('a sandbox answers as the engine does, with the same fuel each time', () =>
  withRealm({}, async (realm) => {
    const requests = [
      ['One day', greedy],
      [[{ role: 'user', content: 'One day' }], { ...greedy, maxTokens: 5 }],
      [[1, 5, 9], { ...greedy, temperature: 1.5, topK: 0, topP: 1, minP: 0, seed: 2n ** 64n - 1n, logprobs: 3 }],
      ['One day', { ...greedy, logitBias: { 7: -Infinity, 9: 1.5 }, repeatPenalty: 1.2, stop: ['zzz'] }],
    ]
    for (const [prompt, options] of requests) {
      const want = await collect(generateStream(model, prompt, options))
      const first = await collect(realm.generateStream(prompt, options))
      const again = await collect(realm.generateStream(prompt, options))
      assert.deepEqual(withoutGuest(first.result), want.result)
      assert.deepEqual(first.chunks.filter((c) => c.token >= 0), want.chunks.filter((c) => c.token >= 0)) // biome-ignore format: one line
      assert.deepEqual(again, first)
      const { guest } = first.result
      assert.ok(guest.fuel > 1000 && guest.memoryBytes > 0 && guest.cacheBytes > 0)
      assert.equal(guest.weightBytes, 0)
      assert.equal(guest.hostCalls.realm_forward, first.result.tokens.length)
    }
  }))

test('several sandboxes share a model, and requests at once are answered in turn', async () => {
  const prompts = ['One day', 'Pages went', 'A machine', 'The river']
  const want = []
  for (const prompt of prompts) want.push(await generate(model, prompt, greedy))
  const realms = [1, 2, 3].map(() => new Realm({ model }))
  const answers = await Promise.all(
    realms.map((realm) => Promise.all(prompts.map((prompt) => realm.generate(prompt, greedy)))),
  )
  for (const list of answers) {
    assert.deepEqual(list.map(withoutGuest), want)
    assert.deepEqual(list, answers[0])
  }
  await Promise.all(realms.map((realm) => realm.close()))
})

test('limits end an answer with their own error, and the sandbox goes on', async () => {
  const long = { ...greedy, maxTokens: 400 }
  for (const [options, code] of [
    [{ fuel: 100_000 }, 'REALM_FUEL_EXHAUSTED'],
    [{ timeout: 1 }, 'REALM_DEADLINE_EXCEEDED'],
    [{ cacheLimit: 1000 }, 'REALM_CACHE_LIMIT'],
    [{ outputLimit: 50 }, 'REALM_OUTPUT_LIMIT'],
    [{ hostCallLimit: 20 }, 'REALM_HOST_CALL_LIMIT'],
  ]) {
    await withRealm(options, async (realm) => {
      for (let round = 0; round < 2; round++) {
        await assert.rejects(realm.generate('One day', long), { name: 'RealmError', code })
      }
    })
  }
  await withRealm({ memoryLimit: 1 << 20 }, async (realm) => {
    await assert.rejects(realm.generate('One day', greedy), { code: 'REALM_LIMIT_EXCEEDED' })
  })
})

test('leaving the loop, a signal, and a slow reader', () =>
  withRealm({}, async (realm) => {
    const want = await realm.generate('One day', greedy)
    let n = 0
    for await (const chunk of realm.generateStream('One day', { ...greedy, maxTokens: 400 })) {
      assert.ok(chunk.token >= 0)
      if (++n === 3) break
    }
    const signal = AbortSignal.timeout(30)
    await assert.rejects(
      (async () => {
        for (;;) await realm.generate('One day', { ...greedy, maxTokens: 400, signal })
      })(),
      (error) => error.code === 'REALM_CANCELED' && error.cause === signal.reason,
    )
    const slow = realm.generateStream('One day', { ...greedy, maxTokens: 300 })
    await slow.next()
    await new Promise((resolve) => setTimeout(resolve, 200))
    const { chunks, result } = await collect(slow)
    assert.equal(chunks.length + 1, 300)
    assert.equal(result.tokens.length, 300)
    assert.deepEqual(await realm.generate('One day', greedy), want)
  }))

test('a closed sandbox, and one that cannot be opened', async () => {
  const realm = new Realm({ model })
  const stream = realm.generateStream('One day', { ...greedy, maxTokens: 400 })
  await stream.next()
  const closed = { name: 'RealmError', code: 'REALM_CLOSED' }
  const queued = assert.rejects(realm.generate('One day', greedy), closed)
  await new Promise((resolve) => setImmediate(resolve))
  await realm.close()
  await assert.rejects(collect(stream), closed)
  await queued
  await assert.rejects(realm.generate('One day', greedy), closed)
  await realm.close()
  const early = new Realm({ model })
  await early.close()
  await assert.rejects(early.generate('x'), closed)

  for (const [options, code] of [
    [{ model: model + 1 }, 'REALM_NOT_FOUND'],
    [{ guest: '/no/such/guest.wasm' }, 'REALM_NOT_FOUND'],
    [{ guest: tiny }, 'REALM_INVALID_FORMAT'],
    [{ guest: Buffer.from('\0asm\x01\0\0\0') }, 'REALM_UNSUPPORTED'],
    [{ guest: 7 }, 'REALM_INVALID_ARGUMENT'],
    [{ memoryLimit: 17 }, 'REALM_INVALID_ARGUMENT'],
    [{ fuel: -1 }, 'REALM_INVALID_ARGUMENT'],
  ]) {
    await withRealm(options, (realm) => assert.rejects(realm.generate('x', greedy), { name: 'RealmError', code }))
  }
  assert.ok(RealmError.prototype instanceof Error)
})

test('a sandbox holds its model', async () => {
  const realm = new Realm({ model })
  const want = await realm.generate('One day', greedy)
  removeModel(model)
  assert.deepEqual(await realm.generate('One day', greedy), want)
  await realm.close()
  model = storeModel(tiny)
})

test('a sandbox lets the process end', async () => {
  const program = `
    const { Realm, storeModel } = await import(${JSON.stringify(import.meta.resolve('@realm-ai/sdk'))})
    const realm = new Realm({ model: storeModel(${JSON.stringify(tiny)}) })
    console.log((await realm.generate('One day', ${JSON.stringify(greedy)})).tokens.length)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  assert.equal(stdout, '24\n')
})

const questions = [
  'What is the capital of France?',
  'Count from one to ten.',
  'Name three colours.',
  'Why is the sky blue?',
  'Write a haiku about rivers.',
  'What is 12 times 12?',
  'Who wrote Hamlet?',
  'List the planets of the solar system.',
  'Translate "good morning" to Spanish.',
  'What is a prime number?',
  'How do I boil an egg?',
  'Say hello in five languages.',
  'What is the largest ocean?',
  'Explain gravity to a child.',
  'Give a synonym of "quick".',
  'What does HTTP stand for?',
  'Name a mammal that lays eggs.',
  'Finish: once upon a time',
  'What year did the Second World War end?',
  'Ünïcödé 🙂 — was ist das?',
]

test('the command line gives the same tokens for the same fuel', needsReal, async () => {
  const id = storeModel(real)
  const system = 'You are a helpful AI assistant.'
  await withRealm({ model: id }, async (realm) => {
    for (const [i, content] of questions.slice(0, long ? 20 : 3).entries()) {
      const messages = [
        { role: 'system', content: system },
        { role: 'user', content },
      ]
      const sampling = i % 2 === 0 ? { temperature: 0 } : { temperature: 0.8, seed: i }
      const options = { ...sampling, maxTokens: 32 }
      const direct = await generate(id, messages, options)
      const boxed = await realm.generate(messages, options)
      assert.deepEqual(withoutGuest(boxed), direct)
      const flags = ['--temp', String(sampling.temperature), '--seed', String(sampling.seed ?? 0)]
      const args = ['run', '-m', real, '--system', system, '-p', content, '-n', '32', '--json', ...flags]
      const answer = JSON.parse((await promisify(execFile)(command, args)).stdout)
      assert.deepEqual(boxed.tokens, answer.tokens, content)
      assert.equal(boxed.text, answer.text)
      assert.equal(boxed.guest.fuel, answer.guest.fuel, content)
      assert.deepEqual(boxed.guest.hostCalls, answer.guest.host_calls)
    }
  })
  removeModel(id)
})

test('a sandbox has the addon that REALM_ADDON names', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'realm-addon-'))
  try {
    const copy = join(folder, 'index.node')
    copyFileSync(fileURLToPath(new URL('../native/index.node', import.meta.url)), copy)
    const program = `
      import { Realm, storeModel } from '@realm-ai/sdk'
      const realm = new Realm({ model: storeModel(process.argv[1]) })
      console.log((await realm.generate('One day', ${JSON.stringify(greedy)})).tokens.length)
      await realm.close()`
    const cwd = fileURLToPath(new URL('.', import.meta.url))
    const env = { ...process.env, REALM_ADDON: copy, REALM_BACKEND: 'addon' }
    const args = ['--input-type=module', '-e', program, tiny]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, env })
    assert.equal(stdout, '24\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
