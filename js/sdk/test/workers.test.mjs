import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { generate, getModelInfo, removeModel, storeModel } from '@realm-ai/sdk'
import { tiny } from './models.mjs'

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
