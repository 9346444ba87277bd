import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  getModelInfo,
  getTensor,
  getTensorAsync,
  RealmError,
  removeModel,
  storeModel,
  storeModelAsync,
} from '@realm-ai/sdk'
import { tiny } from './models.mjs'

const folder = mkdtempSync(join(tmpdir(), 'realm-'))
after(() => rmSync(folder, { recursive: true }))

const code =
  (code, message = /./) =>
  (error) => {
    assert.ok(error instanceof RealmError, `${error} is no RealmError`)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }

test('the same content has one id, by path and by bytes', async () => {
  const bytes = readFileSync(tiny)
  const copy = join(folder, 'copy.gguf')
  copyFileSync(tiny, copy)
  const ids = [
    storeModel(tiny),
    storeModel(copy),
    storeModel(bytes),
    storeModel(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
    await storeModelAsync(tiny),
    await storeModelAsync(bytes),
  ]
  assert.equal(new Set(ids).size, 1)
  assert.ok(ids[0] >= 0 && ids[0] < 2 ** 32)
  for (const id of ids) {
    assert.equal(getModelInfo(id).file_size, bytes.length)
    removeModel(id)
  }
  assert.throws(() => getModelInfo(ids[0]), code('REALM_NOT_FOUND'))
  assert.throws(() => removeModel(ids[0]), code('REALM_NOT_FOUND'))
})

test('a model has its sizes and its shape', () => {
  const id = storeModel(tiny)
  const info = getModelInfo(id)
  assert.equal(info.architecture, 'llama')
  assert.equal(info.layers, 2)
  for (const key of [
    'tensor_count',
    'total_size',
    'hidden_size',
    'vocab_size',
    'context_length',
    'heads',
    'kv_heads',
  ]) {
    assert.ok(Number.isInteger(info[key]) && info[key] > 0, `${key}: ${info[key]}`)
  }
  assert.ok(info.total_size < info.file_size)
  removeModel(id)
})

test('a tensor has the same weights in every way', async () => {
  const id = storeModel(tiny)
  const { vocab_size, hidden_size } = getModelInfo(id)
  const fresh = getTensor(id, 'token_embd.weight')
  assert.equal(fresh.byteLength, 4 * vocab_size * hidden_size)
  const into = new ArrayBuffer(fresh.byteLength)
  assert.equal(getTensor(id, 'token_embd.weight', { into }), into)
  assert.deepEqual(new Uint8Array(into), new Uint8Array(fresh))
  assert.deepEqual(new Uint8Array(await getTensorAsync(id, 'token_embd.weight')), new Uint8Array(fresh))
  const again = new ArrayBuffer(fresh.byteLength)
  assert.equal(await getTensorAsync(id, 'token_embd.weight', { into: again }), again)
  assert.deepEqual(new Uint8Array(again), new Uint8Array(fresh))
  const values = new Float32Array(fresh)
  assert.ok(values.every(Number.isFinite) && new Set(values).size > 100)
  removeModel(id)
})

test('errors say what is wrong', async () => {
  const id = storeModel(tiny)
  const misspelt = 'token_embed.weight'
  const closest = code('REALM_NOT_FOUND', /token_embed\.weight.*closest.*"token_embd\.weight"/)
  assert.throws(() => getTensor(id, misspelt), closest)
  await assert.rejects(getTensorAsync(id, misspelt), closest)
  const small = { into: new ArrayBuffer(12) }
  assert.throws(() => getTensor(id, 'token_embd.weight', small), code('REALM_INVALID_ARGUMENT', /bytes/))
  await assert.rejects(getTensorAsync(id, 'token_embd.weight', small), code('REALM_INVALID_ARGUMENT', /bytes/))

  assert.throws(() => storeModel(join(folder, 'nothing.gguf')), code('REALM_NOT_FOUND', /nothing\.gguf/))
  await assert.rejects(storeModelAsync(join(folder, 'nothing.gguf')), code('REALM_NOT_FOUND', /nothing\.gguf/))
  const broken = join(folder, 'broken.gguf')
  writeFileSync(broken, readFileSync(tiny).subarray(0, 5000))
  assert.throws(() => storeModel(broken), code('REALM_INVALID_FORMAT'))
  assert.throws(() => storeModel(Buffer.from('not a model')), code('REALM_INVALID_FORMAT'))
  for (const wrong of [undefined, null, 7, {}, true]) {
    assert.throws(() => storeModel(wrong), code('REALM_INVALID_ARGUMENT', /path, or a buffer/))
  }
  for (const wrong of [undefined, '7', -1, 1.5, 2 ** 32, Number.NaN]) {
    assert.throws(() => getModelInfo(wrong), code('REALM_INVALID_ARGUMENT', /id/))
  }
  assert.throws(() => getTensor(id, 7), code('REALM_INVALID_ARGUMENT', /name/))
  removeModel(id)
})

test('index.node and CommonJS export the functions too', () => {
  const require = createRequire(import.meta.url)
  const addon = require('@realm-ai/sdk/index.node')
  const id = addon.storeModel(tiny)
  assert.equal(addon.getModelInfo(id).layers, 2)
  assert.ok(addon.getTensor(id, 'output_norm.weight') instanceof ArrayBuffer)
  assert.equal(require('@realm-ai/sdk').storeModel(tiny, { backend: 'addon' }), id)
  addon.removeModel(id)
  addon.removeModel(id)
  assert.throws(() => addon.getModelInfo(id), { code: 'REALM_NOT_FOUND' })
})
