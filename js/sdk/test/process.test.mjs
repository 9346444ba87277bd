import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  computeLogits,
  createSession,
  embedTokens,
  generate,
  generateStream,
  getModelInfo,
  getTensor,
  Realm,
  removeModel,
  storeModel,
  storeModelAsync,
} from '@realm-ai/sdk'
import { children, hostPid } from './hosts.mjs'
import { tiny } from './models.mjs'

const linux = process.platform === 'linux' ? {} : { skip: 'finds processes in /proc' }
const greedy = { temperature: 0, maxTokens: 24, ignoreEndOfGeneration: true }
const died = { name: 'RealmError', code: 'REALM_HOST_DIED' }
const here = { backend: 'process' }
const sdk = JSON.stringify(import.meta.resolve('@realm-ai/sdk'))
const program = (source) => ['--input-type=module', '-e', `const sdk = await import(${sdk})\n${source}`]
const run = promisify(execFile)

async function drain(stream) {
  for await (const _ of stream);
}

let model
let want
before(async () => {
  model = storeModel(tiny, here)
  want = await generate(model, 'One day', greedy)
})

test('a model is where it was stored, and both backends answer alike', async () => {
  const other = storeModel(tiny, { backend: 'addon' })
  assert.equal(other, model)
  for (const backend of ['addon', 'process']) {
    assert.deepEqual(await generate(model, 'One day', { ...greedy, backend }), want)
    assert.equal(getModelInfo(model, { backend }).layers, 2)
    const realm = new Realm({ model, backend })
    const { guest, ...answer } = await realm.generate('One day', greedy)
    assert.deepEqual(answer, want)
    assert.equal((await realm.generate('One day', greedy)).guest.fuel, guest.fuel)
    await realm.close()
  }
  const tensor = (backend) => new Uint8Array(getTensor(model, 'token_embd.weight', { backend }))
  assert.deepEqual(tensor('process'), tensor('addon'))
  removeModel(model, { backend: 'addon' })
  assert.throws(() => getModelInfo(model, { backend: 'addon' }), { code: 'REALM_NOT_FOUND' })
  assert.throws(() => storeModel(tiny, { backend: 'magic' }), { code: 'REALM_INVALID_ARGUMENT', message: /magic/ })
  assert.throws(() => storeModel(tiny, { ...here, hostPath: '/other' }), { code: 'REALM_CONFLICT' })
  model = storeModel(tiny, here)
  removeModel(model)
})

test('a host that is killed fails what was running, and the next call starts another', linux, async () => {
  const first = hostPid()
  const session = createSession(model)
  const realm = new Realm({ model, backend: 'process' })
  await realm.generate('One day', greedy)
  const bytes = readFileSync(tiny)
  bytes.write('general.bame', bytes.indexOf('general.name')) // another model, given as bytes
  const given = storeModel(bytes, here)
  // Answers that nobody reads on wait, after some chunks, for as long as it takes.
  const long = { ...greedy, maxTokens: 400 }
  const streams = [generateStream(model, 'One day', long), realm.generateStream('One day', long)]
  for (const stream of streams) await stream.next()
  const waiting = realm.generate('One day', greedy) // for its turn
  const rejected = assert.rejects(waiting, { ...died, message: /SIGKILL/ })
  process.kill(first, 'SIGKILL')
  await rejected
  for (const stream of streams) await assert.rejects(drain(stream), { ...died, message: /SIGKILL/ })

  assert.deepEqual(await generate(model, 'One day', greedy), want)
  const second = hostPid()
  assert.ok(second !== undefined && second !== first)
  assert.throws(() => embedTokens(session, [1, 2]), died)
  assert.throws(() => computeLogits(session, new Float32Array(1)), died)
  assert.throws(() => getModelInfo(given), { code: 'REALM_NOT_FOUND' })
  const { guest, ...answer } = await realm.generate('One day', greedy)
  assert.deepEqual(answer, want)
  await realm.close()

  // Synchronous calls see it too.
  process.kill(second, 'SIGKILL')
  let info
  for (let i = 0; i < 2 && info === undefined; i++) {
    try {
      info = getModelInfo(model)
    } catch (error) {
      assert.equal(error.code, 'REALM_HOST_DIED') // the call was there first
    }
  }
  assert.equal(info.layers, 2)
  assert.deepEqual(children().filter(({ command, state }) => command === 'realm' && state === 'Z'), []) // biome-ignore format: one line
})

test('what a host said last is in the error', linux, async () => {
  const stream = generateStream(model, 'One day', { ...greedy, maxTokens: 400 })
  await stream.next()
  process.kill(hostPid(), 'SIGQUIT') // Go writes the stacks of all goroutines
  await assert.rejects(drain(stream), { ...died, message: /status 2: SIGQUIT: quit.*goroutine/s })
})

test('a host leaves an interrupt to its parent, and ends with it', linux, async () => {
  getModelInfo(model)
  process.kill(hostPid(), 'SIGINT')
  assert.deepEqual(await generate(model, 'One day', greedy), want)

  const child = spawn(
    process.execPath,
    program(`
      const id = sdk.storeModel(${JSON.stringify(tiny)}, { backend: 'process' })
      console.log('there')
      for (;;) await sdk.generate(id, 'One day', { maxTokens: 1e6, ignoreEndOfGeneration: true })`),
  )
  await once(child.stdout, 'data')
  const [{ pid }] = children(child.pid)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const end = performance.now() + 10_000
  while (existsSync(`/proc/${pid}`) && performance.now() < end) await sleep(20)
  assert.ok(!existsSync(`/proc/${pid}`), 'the host outlived its parent')
})

test('a program that is no host', async () => {
  const outcome = async (hostPath) => {
    const source = `
      const attempt = (f) => f().then(() => ({}), ({ name, code, message }) => ({ name, code, message }))
      const options = { backend: 'process', hostPath: ${JSON.stringify(hostPath)} }
      const results = [await attempt(async () => sdk.storeModel('x', options)), await attempt(() => sdk.storeModelAsync('x', options))]
      console.log(JSON.stringify(results))`
    return JSON.parse((await run(process.execPath, program(source))).stdout)
  }
  for (const { name, code, message } of await outcome('/no/such/realm')) {
    assert.deepEqual([name, code], ['RealmError', 'REALM_NOT_FOUND'])
    assert.match(message, /\/no\/such\/realm.*REALM_HOST/)
  }
  for (const { name, code, message } of await outcome(process.execPath)) {
    assert.deepEqual([name, code], ['RealmError', 'REALM_HOST_DIED'])
    assert.match(message, /status 1: .*Cannot find module/s)
  }
})

test('a process that has a host ends by itself', async () => {
  const source = `
    const id = sdk.storeModel(${JSON.stringify(tiny)}, { backend: 'process' })
    console.log((await sdk.generate(id, 'One day', ${JSON.stringify(greedy)})).tokens.length)`
  const { stdout, stderr } = await run(process.execPath, program(source))
  assert.deepEqual([stdout, stderr], ['24\n', ''])
})

const seconds = Number(process.env.REALM_SOAK || 20)
test(`${seconds} seconds with hosts that are killed`, { ...linux, timeout: (4 * seconds + 120) * 1000 }, async () => {
  const script = new URL('kills.mjs', import.meta.url).pathname
  const { stdout } = await run(process.execPath, ['--expose-gc', script, tiny, String(seconds)])
  const { kills, answers, failures, unhandled, zombies, memory, wrong } = JSON.parse(stdout)
  assert.deepEqual({ unhandled, zombies, wrong }, { unhandled: [], zombies: [], wrong: [] })
  assert.ok(kills >= seconds / 4 && failures > 0 && answers > kills, stdout)
  // What a host costs this process must be gone with it. Buffers that were handed to the helper thread count until that
  // one collects its garbage, which is when there are some tens of MB of them: a guest's bytes for each kill would be more.
  const third = Math.ceil(memory.length / 3)
  const growth = Math.min(...memory.slice(-third)) - Math.min(...memory.slice(0, third))
  assert.ok(growth < 64, `${growth.toFixed(1)} MB more after ${kills} kills: ${memory.map((m) => m.toFixed(1))}`)
})

test('a model can be stored in a host by bytes and off the event loop', async () => {
  const id = await storeModelAsync(readFileSync(tiny), here)
  assert.equal(id, model)
  removeModel(id, here)
})
