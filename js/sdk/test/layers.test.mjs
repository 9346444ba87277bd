import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  closeSession,
  computeLogits,
  computeLogitsAsync,
  createSession,
  embedTokens,
  embedTokensAsync,
  forwardLayer,
  forwardLayerAsync,
  generate,
  getModelInfo,
  removeModel,
  storeModel,
} from '@realm-ai/sdk'
import { tiny } from './models.mjs'

const prompt = [1, 17, 9, 230, 4]

test('layer by layer the tokens are those of generate', async () => {
  const model = storeModel(tiny)
  const { layers, hidden_size } = getModelInfo(model)
  const want = await generate(model, prompt, { temperature: 0, maxTokens: 6, ignoreEndOfGeneration: true })
  const drawn = async (embed, forward, logitsOf) => {
    const session = createSession(model)
    const tokens = []
    let next = prompt
    for (let position = 0; tokens.length < 6; position += next.length, next = [tokens.at(-1)]) {
      let hidden = await embed(session, next)
      for (let layer = 0; layer < layers; layer++) hidden = await forward(session, layer, hidden, position)
      const logits = await logitsOf(session, hidden.subarray(-hidden_size))
      tokens.push(logits.indexOf(Math.max(...logits)))
    }
    closeSession(session)
    return tokens
  }
  assert.deepEqual(await drawn(embedTokens, forwardLayer, computeLogits), want.tokens)
  assert.deepEqual(await drawn(embedTokensAsync, forwardLayerAsync, computeLogitsAsync), want.tokens)
  const inPlace = (session, layer, hidden, position) => forwardLayer(session, layer, hidden, position, { into: hidden })
  assert.deepEqual(await drawn(embedTokens, inPlace, computeLogits), want.tokens)
  removeModel(model)
})

test('errors of layers and sessions', async () => {
  const model = storeModel(tiny)
  const { hidden_size } = getModelInfo(model)
  const session = createSession(model)
  const hidden = embedTokens(session, prompt)
  const invalid = { code: 'REALM_INVALID_ARGUMENT', name: 'RealmError' }
  assert.throws(() => embedTokens(session, [-1]), invalid)
  assert.throws(() => forwardLayer(session, 99, hidden, 0), invalid)
  assert.throws(() => forwardLayer(session, 0, hidden.subarray(1), 0), invalid)
  assert.throws(() => forwardLayer(session, 0, hidden, 3), invalid)
  assert.throws(() => forwardLayer(session, 0, hidden, 0, { into: new Float32Array(1) }), invalid)
  assert.throws(() => computeLogits(session, hidden), invalid)
  assert.throws(() => computeLogits(session, hidden.subarray(-hidden_size), { into: new Float32Array(7) }), invalid)
  await assert.rejects(computeLogitsAsync(session, 'hidden'), invalid)
  closeSession(session)
  assert.throws(() => closeSession(session), { code: 'REALM_CLOSED', message: /closed/ })
  assert.throws(() => embedTokens(session, prompt), { code: 'REALM_CLOSED' })
  assert.throws(() => createSession(model + 1), { code: 'REALM_NOT_FOUND' })

  // A session holds its model.
  const late = createSession(model)
  removeModel(model)
  assert.deepEqual(embedTokens(late, prompt), hidden)
  closeSession(late)
})
