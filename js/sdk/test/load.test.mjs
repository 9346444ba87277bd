import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { promisify } from 'node:util'
import { getModelInfo, loadModel, removeModel, storeModel } from '@realm-ai/sdk'
import { serveHub } from './hub.mjs'
import { tiny } from './models.mjs'

const file = 'tiny.Q4_1.gguf'
const name = `hf:org/repo/${file}`
const folder = mkdtempSync(join(tmpdir(), 'realm-load-'))
const bytes = readFileSync(tiny)
let hub
let cache // of one test
let caches = 0
before(async () => {
  hub = await serveHub({ [file]: bytes, 'broken.gguf': Buffer.from('not a model') })
})
beforeEach(() => {
  cache = join(folder, String(caches++))
  Object.assign(hub, { limit: Number.POSITIVE_INFINITY, oid: {}, requests: [], sent: 0 })
})
after(() => {
  hub.close()
  rmSync(folder, { recursive: true })
})

// A process of its own loads a model: the environment is read when the process begins. It prints what came of it.
const program = `
  import { getModelInfo, loadModel } from '@realm-ai/sdk'
  const [name, given] = JSON.parse(process.argv[1])
  const { abortAt, throwAt, ...options } = given
  const controller = new AbortController()
  const progress = []
  let aborted
  const onProgress = (p) => {
    progress.push(p)
    if (p.bytes >= throwAt) throw new Error('enough')
    if (p.bytes >= abortAt && !aborted) {
      aborted = performance.now()
      controller.abort('reason')
    }
    console.error(p.bytes)
  }
  const print = (result) => console.log(JSON.stringify({ progress, ...result }))
  try {
    const id = await loadModel(name, { ...options, onProgress, signal: controller.signal })
    print({ id, layers: getModelInfo(id).layers })
  } catch ({ name, code, message, cause }) {
    print({ name, code, message, cause, took: performance.now() - aborted })
  }`
const command = (name, options) => ['--input-type=module', '-e', program, JSON.stringify([name, options])]
const settings = () => ({
  cwd: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
  env: { ...process.env, REALM_CACHE: cache, HF_ENDPOINT: hub.url, HF_TOKEN: '', REALM_MIRROR: '', REALM_OFFLINE: '' },
})
async function load(name, options = {}) {
  const { stdout } = await promisify(execFile)(process.execPath, command(name, options), settings())
  return JSON.parse(stdout)
}

test('a model by its name is fetched once', async () => {
  const { progress, id, layers } = await load('hf:org/repo:Q4_1')
  assert.equal(layers, 2)
  assert.equal(id, storeModel(tiny))
  removeModel(id)
  assert.ok(progress.length >= 2)
  assert.deepEqual(progress[0], { bytes: 0, total: bytes.length, speed: 0 })
  const { speed, ...last } = progress.at(-1)
  assert.deepEqual(last, { bytes: bytes.length, total: bytes.length, secondsLeft: 0 })
  assert.ok(speed > 0)
  for (const [i, p] of progress.entries()) assert.ok(i === 0 || p.bytes >= progress[i - 1].bytes)

  const { length } = hub.requests
  assert.deepEqual(await load('hf:org/repo:Q4_1', { offline: true }), { progress: [], id, layers })
  assert.deepEqual(await load(name), { progress: [], id, layers })
  assert.equal(hub.requests.length, length)
  assert.deepEqual(await load(name, { update: true }), { progress: [], id, layers })
  assert.ok(hub.requests.length > length)
  assert.equal(hub.sent, bytes.length)
})

test('any server will do', async () => {
  const { id, layers } = await load(`${hub.url}/files/${file}`)
  assert.equal(layers, 2)
  assert.ok(id > 0)
})

test('an interrupted download goes on where it was', async () => {
  hub.limit = bytes.length >> 1
  const child = spawn(process.execPath, command(name, {}), settings())
  let seen = 0
  child.stderr.on('data', (text) => {
    seen = Math.max(seen, ...String(text).trim().split('\n').map(Number))
    if (seen >= hub.limit) child.kill('SIGKILL')
  })
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
  const before = hub.requests.length
  hub.limit = Number.POSITIVE_INFINITY
  const { progress, layers } = await load(name)
  assert.equal(layers, 2)
  assert.ok(progress[0].bytes > 0)
  assert.ok(hub.requests.slice(before).some(({ headers }) => /^bytes=[1-9]/.test(headers.range)))
  assert.ok(hub.sent < 1.6 * bytes.length, `${hub.sent} bytes were sent of ${bytes.length}`)
})

test('a signal, and an error of onProgress, end a download at once', async () => {
  hub.limit = 100_000
  const { name: error, code, cause, took } = await load(name, { abortAt: 1 })
  assert.deepEqual([error, code, cause], ['RealmError', 'REALM_CANCELED', 'reason'])
  assert.ok(took < 1000, `after ${took} ms`)
  const { name: thrown, message } = await load(name, { throwAt: 1 })
  assert.deepEqual([thrown, message], ['Error', 'enough'])
  const signal = AbortSignal.abort('early')
  await assert.rejects(loadModel(name, { signal }), { code: 'REALM_CANCELED', cause: 'early' })
})

test('errors of downloads have codes', async () => {
  hub.oid[file] = '0'.repeat(64)
  for (const [name, code, options] of [
    [`hf:org/repo/${file}`, 'REALM_CONFLICT'], // it has not the SHA-256 that the hub says
    ['hf:org/repo/nothing.gguf', 'REALM_NOT_FOUND'],
    [`${hub.url}/files/nothing.gguf`, 'REALM_NOT_FOUND'],
    ['hf:org/other', 'REALM_NOT_FOUND'],
    ['hf:org/repo/broken.gguf', 'REALM_INVALID_FORMAT'],
    ['hf:nonsense', 'REALM_INVALID_ARGUMENT'],
    ['hf:org/repo', 'REALM_NOT_FOUND', { offline: true }],
    [join(folder, 'nothing.gguf'), 'REALM_NOT_FOUND'],
  ]) {
    const { name: error, code: got, message } = await load(name, options)
    assert.deepEqual([error, got], ['RealmError', code], message)
  }
})

test('a path is a name too', async () => {
  const never = { onProgress: () => assert.fail('nothing is downloaded') }
  const id = await loadModel(tiny, never)
  assert.equal(await loadModel(`file://${tiny}`, never), id)
  assert.equal(getModelInfo(id).layers, 2)
  removeModel(id)
  removeModel(id)
  for (const wrong of [undefined, 7, {}, '']) {
    await assert.rejects(loadModel(wrong), { name: 'RealmError', code: 'REALM_INVALID_ARGUMENT' })
  }
})
