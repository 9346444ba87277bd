import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const soak = fileURLToPath(new URL('soak.mjs', import.meta.url))
const seconds = Number(process.env.REALM_SOAK ?? 15)
const seed = Date.now() % 1e6

test('workers, sandboxes, aborts and terminations', async (t) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [soak, seconds, seed])
  assert.equal(stderr, '')
  t.diagnostic(stdout)
})

test('the process exits in the middle of it', async () => {
  for (const exit of [100, 400, 700, 1000, 1500, 2500]) {
    await assert.rejects(promisify(execFile)(process.execPath, [soak, 60, seed + exit, exit]), (error) => {
      assert.equal(error.code, 7, `after ${exit} ms, seed ${seed + exit}: ${error}`)
      assert.equal(error.stderr, '')
      return true
    })
  }
})
