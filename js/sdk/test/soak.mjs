// Workers that open sandboxes, answer, abort and end at random, while the process goes on:
//
//   node soak.mjs [SECONDS [SEED [EXIT]]]
//
// It fails on a crash, a hang, an answer that differs, something left open, or memory that goes on growing. With EXIT the
// process exits with status 7 after so many milliseconds, in the middle of everything. soak.test.mjs runs both.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { generate, generateStream, Realm, storeModel } from '@realm-ai/sdk'
import { addon, tiny } from './models.mjs'

const workers = 8
const sandboxes = 4
const prompts = ['One day', 'Pages went', 'A machine', 'The river']
const options = { temperature: 0, maxTokens: 24, ignoreEndOfGeneration: true }

/** Whole numbers below n that a seed repeats: https://en.wikipedia.org/wiki/Xorshift */
function random(seed) {
  let x = (seed * 2654435761 + 1) >>> 0 || 1
  return (n) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    x >>>= 0
    return x % n
  }
}

/** Answers again and again by one sandbox at a time, some of which are closed, in the middle of an answer too. */
async function tenant({ model, want }, dice) {
  let realm = new Realm({ model })
  for (;;) {
    const i = dice(prompts.length)
    const signal = dice(3) === 0 ? AbortSignal.timeout(dice(60)) : undefined
    const leave = dice(4) === 0 ? dice(20) : Number.POSITIVE_INFINITY
    const direct = dice(4) === 0
    const asked = { ...options, signal }
    try {
      const stream = direct ? generateStream(model, prompts[i], asked) : realm.generateStream(prompts[i], asked)
      let n = 0
      for (;;) {
        const { done, value } = await stream.next()
        if (done) {
          assert.deepEqual(value.tokens, want[i])
          parentPort.postMessage(1)
        }
        if (done || n++ === leave) break
      }
      await stream.return()
    } catch (error) {
      if (error.code !== 'REALM_CANCELED') throw error
    }
    if (dice(10) === 0) {
      const last = realm.generate(prompts[i], options).then(
        ({ tokens }) => assert.deepEqual(tokens, want[i]),
        ({ code }) => assert.equal(code, 'REALM_CLOSED'),
      )
      await pause(dice(10))
      await realm.close()
      await last
      realm = new Realm({ model })
    }
  }
}

/** Fails where a promise takes very long. It counts ticks, so that a process that was stopped meanwhile is given its time. */
async function inTime(promise, what) {
  let ticks = 0
  let timer
  const late = new Promise((_, reject) => {
    timer = setInterval(() => ++ticks === 30 && reject(new Error(`${what} takes more than 30 s`)), 1000)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearInterval(timer)
  }
}

async function main(seconds, seed) {
  const dice = random(seed)
  const model = storeModel(tiny)
  const want = []
  for (const prompt of prompts) want.push((await generate(model, prompt, options)).tokens)
  const before = addon.getOpenHandles()
  const end = performance.now() + 1000 * seconds
  const memory = []
  let [answers, ended] = [0, 0]
  const run = async () => {
    while (performance.now() < end) {
      const worker = new Worker(new URL(import.meta.url), { workerData: { model, want, seed: dice(2 ** 31) } })
      worker.on('message', () => answers++)
      const gone = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
      await Promise.race([gone, pause(500 + dice(5000))])
      await inTime(Promise.all([worker.terminate(), gone]), 'the end of a worker')
      ended++
      memory.push(process.memoryUsage.rss() / 2 ** 20)
    }
  }
  await Promise.all(Array.from({ length: workers }, run))
  assert.deepEqual((await generate(model, prompts[0], options)).tokens, want[0])
  assert.deepEqual(addon.getOpenHandles(), before)
  await pause(500) // until the addon has given memory back
  const quarters = [0, 1, 2, 3].map((i) => memory.slice((i / 4) * memory.length, ((i + 1) / 4) * memory.length))
  const most = quarters.map((list) => Math.max(...list))
  const medians = quarters.map((list) => list.toSorted((a, b) => a - b)[list.length >> 1])
  const rest = (process.memoryUsage.rss() / 2 ** 20).toFixed()
  const whole = (list) => list.map((mib) => mib?.toFixed())
  const resident = `MiB resident ${whole(medians)}, at most ${whole(most)}, at the end ${rest}`
  console.log(`${answers} answers, ${ended} workers ended; ${resident}; seed ${seed}`)
  assert.ok(answers > 0)
  // The first half of a run, at most a minute, is for warming up.
  if (seconds >= 60) {
    assert.ok(most[3] < 1.15 * most[1] + 64, `resident memory grows: ${resident}`)
    assert.ok(medians[3] < 1.15 * medians[1] + 32, `resident memory grows: ${resident}`)
  }
  assert.ok(rest < 512, `resident memory stays: ${resident}`)
}

if (isMainThread) {
  const [seconds = 10, seed = Date.now() % 1e6, exit] = process.argv.slice(2).map(Number)
  if (exit) setTimeout(() => process.exit(7), exit)
  await main(seconds, seed)
} else {
  const dice = random(workerData.seed)
  if (dice(4) === 0) setTimeout(() => process.exit(), dice(4000))
  await Promise.all(Array.from({ length: sandboxes }, () => tenant(workerData, dice)))
}
