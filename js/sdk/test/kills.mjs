// Uses a host process in every way while it is killed again and again, and prints what came of that as JSON. Arguments: a
// model, and for how many seconds.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  closeSession,
  createSession,
  embedTokensAsync,
  forwardLayer,
  generate,
  generateStream,
  getModelInfo,
  getTensorAsync,
  Realm,
  storeModel,
} from '@realm-ai/sdk'
import { children, hostPid } from './hosts.mjs'

process.env.REALM_BACKEND = 'process'
const [file, seconds] = process.argv.slice(2)
const unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(String(error)))

const options = { temperature: 0, maxTokens: 16, ignoreEndOfGeneration: true }
const model = storeModel(file)
const { text } = await generate(model, 'One day', options)

// Time passes by the turns of a timer, so that a process that was stopped for a while does as much as any.
let now = 0
const end = Number(seconds) * 1000
const clock = setInterval(() => (now += 100), 100)

const counts = { kills: 0, answers: 0, failures: 0 }
const wrong = []

/** Does something until the end. It succeeds, or fails because the host died. */
async function again(work) {
  while (now < end) {
    try {
      const answer = await work()
      if (answer !== undefined && answer !== text) wrong.push(answer)
      counts.answers++
    } catch (error) {
      counts.failures++
      if (error.code !== 'REALM_HOST_DIED') wrong.push(error.stack)
    }
    await sleep(1)
  }
}

async function kill() {
  while (now < end) {
    await sleep(20 + 600 * Math.random())
    const pid = hostPid()
    if (pid === undefined) continue
    process.kill(pid, 'SIGKILL')
    counts.kills++
  }
}

const memory = [] // megabytes, after everything that can be freed was
async function measure() {
  while (now < end / 4) await sleep(100)
  while (now < end) {
    for (let i = 0; i < 3; i++) {
      gc()
      await sleep(10)
    }
    const { heapUsed, external, arrayBuffers } = process.memoryUsage()
    memory.push((heapUsed + external + arrayBuffers) / 1e6)
    await sleep(end / 10)
  }
}

const realm = new Realm({ model })
const works = [
  async () => (await generate(model, 'One day', options)).text,
  async () => (await realm.generate('One day', options)).text,
  async () => {
    const chunks = []
    for await (const chunk of generateStream(model, 'One day', options)) chunks.push(chunk.text)
    return chunks.join('')
  },
  async () => {
    const { layers } = getModelInfo(model)
    const session = createSession(model)
    let hidden = await embedTokensAsync(session, [1, 2, 3])
    for (let layer = 0; layer < layers; layer++) hidden = forwardLayer(session, layer, hidden, 0)
    closeSession(session)
  },
  async () => void (await getTensorAsync(model, 'token_embd.weight')),
]
await Promise.all([kill(), measure(), ...works.map(again)])
await sleep(500)
// When nobody kills any more, nothing fails any more.
for (const work of works) await work().catch((error) => wrong.push(`in the end: ${error.stack}`))
clearInterval(clock)
await realm.close()
await sleep(500)
const zombies = children().filter(({ state }) => state === 'Z')
console.log(JSON.stringify({ ...counts, unhandled, zombies, memory, wrong: wrong.slice(0, 3) }))
