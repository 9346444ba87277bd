import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { generate, getModelInfo, removeModel, storeModel } from '@realm-ai/sdk'
import files from '../native/files.cjs'
import { addon, loader, tiny } from './models.mjs'

const options = { temperature: 0, maxTokens: 32, ignoreEndOfGeneration: true }

// A worker that answers again and again.
const source = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.sdk).then(async ({ generate, generateStream, getModelInfo }) => {
    getModelInfo(workerData.id)
    for (let i = 0; i < workerData.rounds; i++) {
      const result = await generate(workerData.id, 'One day', workerData.options)
      parentPort.postMessage(result.text)
    }
    parentPort.close()
  })`
const worker = (workerData) =>
  new Worker(source, { eval: true, workerData: { sdk: import.meta.resolve('@realm-ai/sdk'), options, ...workerData } })

test('workers share the models of the process', async () => {
  const id = storeModel(tiny)
  const { text } = await generate(id, 'One day', options)
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const texts = []
      const w = worker({ id, rounds: 3 })
      w.on('message', (answer) => texts.push(answer))
      await new Promise((resolve, reject) => w.once('exit', resolve).once('error', reject))
      assert.deepEqual(texts, [text, text, text])
    }),
  )
  removeModel(id)
})

test('a worker may end in the middle of an answer', async () => {
  const id = storeModel(tiny)
  const { text } = await generate(id, 'One day', options)
  for (let round = 0; round < 10; round++) {
    const workers = Array.from({ length: 4 }, () => worker({ id, rounds: 1e9 }))
    await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))))
    await new Promise((resolve) => setTimeout(resolve, 7 * round))
    await Promise.all(workers.map((w) => w.terminate()))
  }
  assert.equal((await generate(id, 'One day', options)).text, text)
  assert.equal(getModelInfo(id).layers, 2)
  removeModel(id)
})

/**
 * Lets workers with a program, which posts a message, be terminated some time later: nothing may be left of them in the
 * addon. In a host process, internal/hostpipe ends what a connection had.
 */
async function leavesNothing(program, workers, delays) {
  const id = storeModel(tiny, { backend: 'addon' })
  const env = { ...process.env, REALM_BACKEND: 'addon' }
  const before = addon.getOpenHandles()
  const sdk = import.meta.resolve('@realm-ai/sdk')
  const workerData = { sdk, id, options, loader, guest: files.guest }
  for (const delay of delays) {
    const list = Array.from({ length: workers }, () => new Worker(program, { eval: true, workerData, env }))
    await Promise.all(
      list.map((w) => new Promise((resolve, reject) => w.once('message', resolve).once('error', reject))),
    )
    assert.ok(addon.getOpenHandles().environments > before.environments)
    await new Promise((resolve) => setTimeout(resolve, delay))
    await Promise.all(list.map((w) => w.terminate()))
    assert.deepEqual(addon.getOpenHandles(), before, `after ${delay} ms`)
  }
  removeModel(id, { backend: 'addon' })
}

test('a worker that is terminated between two calls leaves nothing', () =>
  leavesNothing(
    `const { parentPort, workerData } = require('node:worker_threads')
    const addon = require(workerData.loader)
    const guest = require('node:fs').readFileSync(workerData.guest)
    const run = (...args) => new Promise((resolve) => addon.start(args[0], (error, value) => resolve(value), ...args.slice(1)))
    ;(async () => {
      addon.createSession(workerData.id)
      const sandbox = await run('openSandbox', workerData.id, await run('patchGuest', guest, 0), '{}')
      addon.prepareTask(sandbox, true)
      addon.requestAnswer(sandbox, '{"prompt":"One day"}', false)
      run('patchGuest', guest, 1 << 24).then((module) => run('openSandbox', workerData.id, module, '{}'))
      parentPort.postMessage('begun')
    })()`,
    2,
    [0, 20, 100],
  ))

test('a busy worker leaves nothing, whenever it is terminated', () =>
  leavesNothing(
    `const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.sdk).then(({ createSession, forwardLayerAsync, embedTokensAsync, generate, Realm }) => {
      const { id, options } = workerData
      const again = async (f) => { for (;;) await f() }
      for (let i = 0; i < 3; i++) {
        const realm = new Realm({ model: id })
        again(() => realm.generate('One day', { ...options, maxTokens: 2 }))
        again(() => generate(id, 'One day', options))
      }
      const session = createSession(id)
      again(async () => forwardLayerAsync(session, 0, await embedTokensAsync(session, [1, 2, 3]), 0))
      again(() => new Realm({ model: id }).generate('One day', options))
      parentPort.postMessage('begun')
    })`,
    3,
    [0, 50, 100, 200, 400, 600],
  ))

test('a process may exit in the middle of an answer', async () => {
  const program = `
    const { storeModel, generateStream } = await import(${JSON.stringify(import.meta.resolve('@realm-ai/sdk'))})
    const id = storeModel(${JSON.stringify(tiny)})
    let n = 0
    for (let i = 0; i < 4; i++) (async () => {
      for (;;) for await (const chunk of generateStream(id, 'One day', ${JSON.stringify(options)})) {
        if (++n === 50) process.exit(7)
      }
    })()`
  for (let round = 0; round < 5; round++) {
    await assert.rejects(promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]), (error) => {
      assert.equal(error.stderr, '')
      return error.code === 7
    })
  }
})
