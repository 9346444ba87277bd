// Requests of a guest's own shape.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Realm, removeModel, storeModel } from '@realm-ai/sdk'
import { call, drop, guest, i32, loop } from './guests.mjs'
import { tiny } from './models.mjs'

const grammar = fileURLToPath(new URL('../../../build/guest-grammar.wasm', import.meta.url))
const greedy = { temperature: 0, maxTokens: 24 }
let model
before(() => {
  model = storeModel(tiny)
})
after(() => removeModel(model))

async function collect(stream) {
  const chunks = []
  for (;;) {
    const step = await stream.next()
    if (step.done) return { chunks, ...step.value }
    chunks.push(step.value)
  }
}

/** A guest that emits its request as a chunk of some kinds. */
const emit = ['realm', 'realm_emit', 'iii', 'i']
const request = [0x20, 0, 0x20, 1]
const emitting = (...kinds) =>
  guest({ imports: [emit], generate: [...kinds.flatMap((k) => [...i32(k), ...request, ...call(0), drop]), ...i32(0)] })
const [text, token, result] = [1, 2, 3]

test('a guest gets what it is sent, and what it emits is handed over', async () => {
  const realm = new Realm({ model, guest: emitting(text, text, result) })
  for (const body of [{ shape: ['of', 'its own', 1.5, null] }, 'text with "quotes" 🙂', [1, 2], 7, null]) {
    const json = JSON.stringify(body)
    const { chunks, result, guest } = await collect(realm.request(body))
    assert.deepEqual(chunks, [{ text: json }, { text: json }])
    assert.deepEqual(result, body)
    assert.equal(guest.hostCalls.realm_emit, 3)
    assert.deepEqual(await collect(realm.request(Buffer.from(json))), { chunks, result, guest })
  }
  await assert.rejects(collect(realm.request(Buffer.from('{'))), { code: 'REALM_GUEST_FAILED', message: /not JSON/ })
  for (const body of [undefined, () => {}]) {
    await assert.rejects(collect(realm.request(body)), { code: 'REALM_INVALID_ARGUMENT' })
  }
  await assert.rejects(collect(realm.request({}, { seed: -1 })), { code: 'REALM_INVALID_ARGUMENT', message: /seed/ })
  await realm.close()
  await assert.rejects(collect(realm.request({})), { code: 'REALM_CLOSED' })
})

test('tokens, no result, and what is no token', async () => {
  const realm = new Realm({ model, guest: emitting(token) })
  const entry = (id, logprob) => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32LE(id)
    bytes.writeFloatLE(logprob, 4)
    return bytes
  }
  const answer = await collect(realm.request(Buffer.concat([entry(7, -0.5), entry(7, -0.5), entry(9, -2)])))
  const topLogprobs = [{ id: 7, logprob: -0.5 }, { id: 9, logprob: -2 }] // biome-ignore format: one line
  assert.deepEqual(answer.chunks, [{ token: 7, logprob: -0.5, topLogprobs }])
  assert.equal(answer.result, undefined)
  const bare = await collect(realm.request(entry(5, Number.NaN)))
  assert.deepEqual(bare.chunks, [{ token: 5 }])
  for (const [value, logprob] of [
    [-Infinity, -9999],
    [Infinity, 3.4028235e38],
  ]) {
    // biome-ignore format: one line
    const odd = await collect(realm.request(Buffer.concat([entry(5, value), entry(6, Number.NaN)])))
    assert.deepEqual(odd.chunks, [{ token: 5, logprob, topLogprobs: [{ id: 6, logprob: -9999 }] }])
  }
  await assert.rejects(collect(realm.request(Buffer.from('abc'))), { name: 'RealmError' })
  await realm.close()
})

test('leaving the loop, a signal, and a slow reader', async () => {
  const endless = guest({ imports: [emit], generate: [...loop(i32(text), request, call(0), drop), ...i32(0)] })
  const realm = new Realm({ model, guest: endless, outputLimit: 0, hostCallLimit: 0 })
  let n = 0
  for await (const chunk of realm.request('x')) {
    assert.deepEqual(chunk, { text: '"x"' })
    if (++n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    if (n === 1000) break
  }
  const signal = AbortSignal.timeout(30)
  const all = async () => {
    for await (const _ of realm.request('x', { signal }));
  }
  await assert.rejects(all(), (error) => error.code === 'REALM_CANCELED' && error.cause === signal.reason)
  await realm.close()
})

test('the guest with a grammar', async () => {
  const realm = new Realm({ model, guest: grammar })
  const body = { model, prompt: 'One day', max_tokens: 24, sampling: { temperature: 0 } }
  const { chunks, result, guest } = await collect(realm.request(body))
  const answer = chunks.map((chunk) => chunk.text ?? '').join('')
  assert.match(answer, /^\{"city": "[A-Z]/)
  assert.ok(guest.hostCalls.realm_forward > 5)
  const same = await realm.generate('One day', greedy)
  assert.equal(same.text, answer)
  assert.equal(result.finish_reason, same.finishReason)
  assert.deepEqual(same.tokens, chunks.filter((chunk) => 'token' in chunk).map((chunk) => chunk.token)) // biome-ignore format: one line
  await realm.close()
})
