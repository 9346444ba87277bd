import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { generate, Realm, removeModel, storeModel } from '@realm-ai/sdk'
import { call, copy, drop, equal, fill, grow, guest, i32, loop, self, trap, when } from './guests.mjs'
import { addon, tiny } from './models.mjs'

const greedy = { temperature: 0, maxTokens: 16, ignoreEndOfGeneration: true }
let model
let want // the answer of an honest guest, which is to stay the same whatever the others do
let honest
before(async () => {
  model = storeModel(tiny)
  want = await generate(model, 'One day', greedy)
  honest = new Realm({ model })
})
after(async () => {
  const { guest, ...answer } = await honest.generate('One day', greedy)
  assert.deepEqual(answer, want)
  await honest.close()
  removeModel(model)
})

/** Asks a guest, and holds the error to its code, twice. */
async function fails(options, code, message = /./) {
  const realm = new Realm({ model, ...options })
  try {
    for (let round = 0; round < 2; round++) {
      const start = performance.now()
      await assert.rejects(realm.generate('x', greedy), { name: 'RealmError', code, message })
      assert.ok(performance.now() - start < 5000)
    }
  } finally {
    await realm.close()
  }
}

/** Closes the sandbox however its use ends: an answer in progress keeps the process from ending. */
async function withRealm(guest, use) {
  const sandbox = new Realm({ model, guest })
  try {
    await use(sandbox)
  } finally {
    await sandbox.close()
  }
}

const realm = (name, params, result = 'i') => ['realm', name, params, result]

test('a guest that does not end', async () => {
  const endless = guest({ generate: [...loop(), ...i32(0)] })
  await fails({ guest: endless, fuel: 1e6 }, 'REALM_FUEL_EXHAUSTED', /1000000/)
  await fails({ guest: endless, fuel: 0, timeout: 50 }, 'REALM_DEADLINE_EXCEEDED')
  const filling = guest({ pages: 100, generate: [...loop(i32(0), i32(1), i32(100 << 16), fill), ...i32(0)] })
  await fails({ guest: filling, fuel: 1e9 }, 'REALM_FUEL_EXHAUSTED')
  await fails({ guest: filling, fuel: 0, timeout: 50 }, 'REALM_DEADLINE_EXCEEDED')
  const copying = guest({ pages: 100, generate: [...loop(i32(0), i32(1), i32(99 << 16), copy), ...i32(0)] })
  await fails({ guest: copying, fuel: 1e9 }, 'REALM_FUEL_EXHAUSTED')
  const drawing = guest({
    pages: 100,
    imports: [['wasi_snapshot_preview1', 'random_get', 'ii', 'i']],
    generate: [...loop(i32(0), i32(99 << 16), call(0), drop), ...i32(0)],
  })
  await fails({ guest: drawing, fuel: 1e7 }, 'REALM_FUEL_EXHAUSTED')
  const calling = guest({ imports: [realm('realm_now', '', 'I')], generate: [...loop(call(0), drop), ...i32(0)] })
  await fails({ guest: calling, hostCallLimit: 1000 }, 'REALM_HOST_CALL_LIMIT')
  await fails({ guest: calling, fuel: 0, hostCallLimit: 0, timeout: 50 }, 'REALM_DEADLINE_EXCEEDED')

  const hanging = new Realm({ model, guest: endless, fuel: 0, timeout: 0 })
  const signal = AbortSignal.timeout(50)
  await assert.rejects(hanging.generate('x', { signal }), (error) => error.cause === signal.reason)
  const rejected = assert.rejects(hanging.generate('x'), { code: 'REALM_CLOSED' })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await hanging.close()
  await rejected

  const starting = new Realm({ model, guest: guest({ initialize: loop() }) })
  const never = assert.rejects(starting.generate('x'), { code: 'REALM_CLOSED' })
  await new Promise((resolve) => setTimeout(resolve, 100))
  await starting.close()
  await never
})

test('a guest that wants too much', async () => {
  const memory = guest({ generate: [...loop(i32(1), grow, i32(-1), equal, when(trap)), ...i32(0)] })
  await fails({ guest: memory, memoryLimit: 8 << 20 }, 'REALM_OUT_OF_MEMORY', /8388608/)
  await fails({ guest: guest({ pages: 200 }), memoryLimit: 8 << 20 }, 'REALM_LIMIT_EXCEEDED')
  await fails({ guest: guest({ generate: [0x20, 0, 0x20, 1, ...call(self(0))] }) }, 'REALM_STACK_OVERFLOW')
  const flood = guest({
    imports: [realm('realm_emit', 'iii')],
    generate: [...loop(i32(1), i32(0), i32(1 << 16), call(0), drop), ...i32(0)],
  })
  await fails({ guest: flood, outputLimit: 1 << 22 }, 'REALM_OUTPUT_LIMIT')
  const logging = guest({
    imports: [realm('realm_log', 'ii')],
    generate: [...loop(i32(0), i32(4), call(0), drop), ...i32(0)],
  })
  let lines = 0
  await fails({ guest: logging, outputLimit: 1000, onLog: () => lines++ }, 'REALM_OUTPUT_LIMIT')
  assert.equal(lines, 2 * (1000 / 5))
})

test('a guest that fails', async () => {
  await fails({ guest: guest({ generate: [trap] }) }, 'REALM_GUEST_FAILED', /unreachable/)
  const outside = guest({ generate: [...i32(-4), 0x28, 2, 0] })
  await fails({ guest: outside }, 'REALM_GUEST_FAILED', /memory access out of bounds|out of bounds memory access/)
  await fails({ guest: guest({ initialize: [trap] }) }, 'REALM_GUEST_FAILED', /_initialize/)
  const exit = guest({
    imports: [['wasi_snapshot_preview1', 'proc_exit', 'i', '']],
    generate: [...i32(3), ...call(0), ...i32(0)],
  })
  await fails({ guest: exit }, 'REALM_GUEST_FAILED', /status 3/)
  await fails({ guest: guest({}) }, 'REALM_GUEST_FAILED', /result/)
  await fails({ guest: guest({ generate: i32(-2) }) }, 'REALM_INVALID_ARGUMENT')
})

test('a guest that emits what it should not', async () => {
  // Tokens with probabilities that JSON does not have, of a vocabulary that does not exist: chunks, but then no result.
  const word = (at, bits) => [...i32(at), ...i32(bits), 0x36, 2, 0]
  for (const bits of [0x7fc00000, 0x7f800000, 0xff800000]) {
    const odd = guest({
      imports: [realm('realm_emit', 'iii')],
      generate: [
        ...word(0, 1 << 30),
        ...word(4, bits),
        ...word(8, 7),
        ...word(12, bits),
        ...[2, 0, 16].flatMap(i32),
        ...call(0),
        drop,
        ...[1, 0, 1].flatMap(i32),
        ...call(0),
      ],
    })
    await withRealm(odd, async (sandbox) => {
      const stream = sandbox.generateStream('x', { ...greedy, logprobs: 1 })
      const { value } = await stream.next()
      assert.ok(Number.isFinite(value.logprob) && Number.isFinite(value.topLogprobs[0].logprob), JSON.stringify(value))
      await assert.rejects(stream.next(), { code: 'REALM_GUEST_FAILED', message: /result/ })
    })
  }
  const emit = (kind, ptr, length) =>
    guest({
      imports: [realm('realm_emit', 'iii')],
      generate: [...[kind, ptr, length].flatMap(i32), ...call(0)],
    })
  await fails({ guest: emit(9, 0, 1) }, 'REALM_INVALID_ARGUMENT', /kind 9/)
  await fails({ guest: emit(2, 0, 3) }, 'REALM_INVALID_FORMAT', /token chunk/)
  await fails({ guest: emit(1, 0, 100) }, 'REALM_GUEST_FAILED', /result/) // text of zeros, and no result
  const twice = guest({
    imports: [realm('realm_emit', 'iii')],
    generate: [...[3, 0, 0].flatMap(i32), ...call(0), drop, ...[3, 0, 0].flatMap(i32), ...call(0)],
  })
  await fails({ guest: twice }, 'REALM_INVALID_ARGUMENT', /second result/)
})

test('pointers out of bounds, in every function', async () => {
  const { imports } = addon.getGuestNames()
  const outside = [-1, 65_535, 0x7fffffff]
  for (const { module, name, params, result } of imports) {
    if (module !== 'realm' || params === '') continue
    for (const value of outside) {
      // What the function returns realm_generate does too. Where that is no error, the guest has given no result.
      const arguments_ = [...params].flatMap((_, i) =>
        i32(i === 0 && name !== 'realm_log' ? modelOr(name, value) : value),
      )
      const code = [...arguments_, ...call(0), ...(result === 'I' ? [0xa7] : [])]
      const wild = guest({ imports: [[module, name, params, result]], generate: code })
      const sandbox = new Realm({ model, guest: wild })
      await assert.rejects(sandbox.generate('x', greedy), (error) => {
        const known = ['REALM_INVALID_ARGUMENT', 'REALM_NOT_FOUND', 'REALM_GUEST_FAILED']
        assert.ok(known.includes(error.code), `${name}(${value}): ${error.code}: ${error.message}`)
        if (/realm_(embed|forward|compute|top|get|emit|log)/.test(name)) {
          assert.equal(error.code, 'REALM_INVALID_ARGUMENT', `${name}(${value}): ${error.message}`)
        }
        return true
      })
      await sandbox.close()
    }
  }
})

const modelOr = (name, value) => (/_emit|_last_error/.test(name) ? value : model)

test('models and weights that are not granted', async () => {
  const forward = (id) =>
    guest({
      imports: [realm('realm_forward', 'iiiii')],
      generate: [id, 0, 1, 0, 0].flatMap(i32).concat(call(0)),
    })
  await fails({ guest: forward(model + 1) }, 'REALM_PERMISSION_DENIED')
  const tensor = guest({
    imports: [realm('realm_get_tensor', 'iiiii')],
    generate: [model, 0, 4, 0, 0].flatMap(i32).concat(call(0)),
  })
  await fails({ guest: tensor }, 'REALM_PERMISSION_DENIED')
})

test('modules that are refused', async () => {
  const good = guest({ imports: [realm('realm_log', 'ii')] })
  await fails({ guest: guest({ imports: [realm('realm_fly', 'i')] }) }, 'REALM_UNSUPPORTED', /realm_fly/)
  await fails({ guest: guest({ imports: [realm('realm_log', 'iI')] }) }, 'REALM_UNSUPPORTED', /types/)
  await fails({ guest: guest({ imports: [['env', 'eval', 'i', 'i']] }) }, 'REALM_UNSUPPORTED', /env/)
  const table = guest({ table: 1, generate: [...i32(0), 0xd0, 0x70, 0x26, 0, ...i32(0)] })
  await fails({ guest: table }, 'REALM_UNSUPPORTED', /changes a table/)
  await fails({ guest: guest({ imports: [['realm_meter', 'refill', 'I', 'I']] }) }, 'REALM_UNSUPPORTED', /reserved/)
  await fails({ guest: guest({ version: 9 }) }, 'REALM_UNSUPPORTED', /version 9.*version 1/)
  await fails({ guest: guest({ generate: [] }) }, 'REALM_INVALID_FORMAT') // no result: V8 says so
  for (let n = 0; n < good.length; n += 7) {
    const cut = new Realm({ model, guest: good.subarray(0, n) })
    await assert.rejects(cut.generate('x'), (error) => /^REALM_(INVALID_FORMAT|UNSUPPORTED)$/.test(error.code))
    await cut.close()
  }
})
