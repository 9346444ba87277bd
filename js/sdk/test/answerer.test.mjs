import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Answerer, generate, getModelInfo, removeModel, storeModel } from '@realm-ai/sdk'
import { tiny } from './models.mjs'

const greedy = { temperature: 0, maxTokens: 8, ignoreEndOfGeneration: true }
const folder = mkdtempSync(join(tmpdir(), 'realm-answerer-'))
after(() => rmSync(folder, { recursive: true }))

const id = storeModel(tiny)
const expected = await generate(id, 'One day', greedy)
removeModel(id)

async function ask(answerer, options = {}) {
  const stream = answerer.generateStream('One day', { ...greedy, ...options })
  for (;;) {
    const step = await stream.next()
    if (step.done) return step.value
  }
}

test('it answers by the engine and in a sandbox, and gives the model back', async () => {
  for (const sandbox of [false, true, { timeout: 60_000 }]) {
    const answerer = new Answerer({ model: tiny, sandbox })
    assert.throws(() => getModelInfo(id), { code: 'REALM_NOT_FOUND' })
    for (const { guest, ...answer } of await Promise.all([ask(answerer), ask(answerer)])) {
      assert.deepEqual(answer, expected)
      assert.equal(guest !== undefined, sandbox !== false)
    }
    getModelInfo(id)
    await answerer.close()
    await answerer.close()
    assert.throws(() => getModelInfo(id), { code: 'REALM_NOT_FOUND' })
    await assert.rejects(ask(answerer), { code: 'REALM_CLOSED' })
  }
})

test('a model that was stored stays', async () => {
  const model = storeModel(tiny)
  const answerer = new Answerer({ model })
  assert.deepEqual(await ask(answerer), expected)
  await answerer.close()
  getModelInfo(model)
  removeModel(model)
})

test('a signal ends the wait of one, not the opening of the model', async () => {
  const answerer = new Answerer({ model: tiny })
  const controller = new AbortController()
  const [one, other] = [ask(answerer, { signal: controller.signal }), ask(answerer)]
  controller.abort()
  await assert.rejects(one, { code: 'REALM_CANCELED' })
  assert.deepEqual(await other, expected)
  await assert.rejects(ask(answerer, { signal: AbortSignal.abort() }), { code: 'REALM_CANCELED' })
  await answerer.close()
})

test('a model that was not there is looked for again', async () => {
  const model = join(folder, 'model.gguf')
  const answerer = new Answerer({ model })
  await assert.rejects(ask(answerer), { code: 'REALM_NOT_FOUND' })
  symlinkSync(tiny, model)
  assert.deepEqual(await ask(answerer), expected)
  await answerer.close()
})

test('closing ends what is in progress', async () => {
  for (const sandbox of [false, true]) {
    const answerer = new Answerer({ model: tiny, sandbox })
    const early = ask(answerer)
    await Promise.all([assert.rejects(early, { code: 'REALM_CLOSED' }), answerer.close()])
    assert.throws(() => getModelInfo(id), { code: 'REALM_NOT_FOUND' })
  }
})

test('a sandbox whose thread has ended makes room for another', async (t) => {
  let thread
  const { postMessage } = Worker.prototype
  Worker.prototype.postMessage = function (...values) {
    thread = this
    return postMessage.apply(this, values)
  }
  t.after(() => {
    Worker.prototype.postMessage = postMessage
  })
  const answerer = new Answerer({ model: tiny, sandbox: true })
  await ask(answerer)
  const first = thread
  await first.terminate()
  await assert.rejects(ask(answerer), { code: 'REALM_CLOSED' })
  const { guest, ...answer } = await ask(answerer)
  assert.deepEqual(answer, expected)
  assert.notEqual(thread, first)
  await answerer.close()
})
