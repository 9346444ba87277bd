// A model of 668 MB, in the shape of TinyLlama 1.1B at Q4_K_M: REALM_LONG=1. What it prints are times; run it alone for those.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { getModelInfo, getTensor, getTensorAsync, Realm, removeModel, storeModel } from '@realm-ai/sdk'
import { command, long } from './models.mjs'

const name = 'token_embd.weight'
const bytes = 4 * 32_000 * 2048

test('a large model', { skip: long ? false : 'REALM_LONG is not 1' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'realm-'))
  try {
    const path = join(folder, 'model.gguf')
    execFileSync(command, ['synth', 'tinyllama-1.1b-q4_k_m', path], { stdio: 'ignore' })
    const timed = (what, f) => {
      const start = performance.now()
      const result = f()
      t.diagnostic(`${what}: ${(performance.now() - start).toFixed(1)} ms`)
      return result
    }
    // A file that changed just now is hashed each time: it may change again within its time stamp.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    let buffer = readFileSync(path) // which has the file in the page cache too
    const id = timed('storeModel of a path', () => storeModel(path))
    assert.equal(
      timed('storeModel again', () => storeModel(path)),
      id,
    )
    const { tensor_count, file_size } = getModelInfo(id)
    assert.deepEqual([tensor_count, file_size], [201, buffer.length])

    const fresh = timed('getTensor', () => getTensor(id, name))
    assert.equal(fresh.byteLength, bytes)
    const into = new ArrayBuffer(bytes)
    getTensor(id, name, { into })
    assert.equal(
      timed('getTensor into a buffer', () => getTensor(id, name, { into })),
      into,
    )
    assert.equal(Buffer.compare(Buffer.from(into), Buffer.from(fresh)), 0)
    let turns = 0
    const turning = setInterval(() => turns++, 1)
    await getTensorAsync(id, name, { into })
    clearInterval(turning)
    assert.ok(turns > 3, `the loop turned ${turns} times meanwhile`)

    const realm = new Realm({ model: id })
    const { guest } = await realm.generate('x', { maxTokens: 2, temperature: 0, ignoreEndOfGeneration: true })
    assert.equal(guest.weightBytes, 0)
    assert.ok(guest.memoryBytes < 16 << 20, `the guest has ${guest.memoryBytes} bytes`)
    await realm.close()
    removeModel(id)
    removeModel(id)

    // Alone: the id is not that of the path because that is what was there.
    assert.equal(
      timed('storeModel of a buffer', () => storeModel(buffer)),
      id,
    )
    buffer = undefined
    assert.deepEqual(Buffer.compare(Buffer.from(getTensor(id, name)), Buffer.from(fresh)), 0)
    removeModel(id)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
