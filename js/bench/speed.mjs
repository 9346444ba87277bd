// Decode speed in Node over that of the engine alone, which is `realm run --native` in a process of its own, and that of
// eight sandboxes at once over one's. All take turns; speeds are medians of rounds, and shares medians of those of each
// round, since a machine's speed changes from one to the next. After `make node`:
//
//     node js/bench/speed.mjs MODEL.gguf [TOKENS [ROUNDS]]
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { generateStream, Realm, storeModel } from '@realm-ai/sdk'

const [model, count = '128', rounds = '5'] = process.argv.slice(2)
if (!model) throw new Error('usage: node js/bench/speed.mjs MODEL.gguf [TOKENS [ROUNDS]]')
const tokens = Number(count)
const prompt = 'Once upon a time there was'
const options = { temperature: 0, maxTokens: tokens, ignoreEndOfGeneration: true }
const command = fileURLToPath(new URL('../../build/realm', import.meta.url))

/** Tokens a second after the first one, whose time is the prompt's. */
async function decode(stream) {
  let first
  let n = 0
  for (;;) {
    const { done, value } = await stream.next()
    const now = performance.now()
    first ??= now
    if (!done) n += value.token >= 0
    else return (1000 * (n - 1)) / (now - first)
  }
}

/** Tokens a second of whole answers. */
async function together(realms) {
  const start = performance.now()
  const answers = await Promise.all(realms.map((realm) => realm.generate(prompt, options)))
  return (1000 * answers.reduce((sum, answer) => sum + answer.tokens.length, 0)) / (performance.now() - start)
}

const id = storeModel(model)
const realms = Array.from({ length: 8 }, () => new Realm({ model: id }))
const [realm] = realms
await Promise.all(realms.map((each) => each.generate(prompt, { ...options, maxTokens: 2 })))
const ways = {
  engine() {
    const args = [
      'run',
      '--native',
      '--json',
      '--raw',
      '--ignore-eos',
      '--temp',
      '0',
      '-n',
      count,
      '-p',
      prompt,
      '-m',
      model,
    ]
    const { timings, usage } = JSON.parse(execFileSync(command, args, { encoding: 'utf8' }))
    return (1000 * (usage.completion_tokens - 1)) / timings.decode_ms
  },
  generateStream: () => decode(generateStream(id, prompt, options)),
  Realm: () => decode(realm.generateStream(prompt, options)),
  'one Realm': () => together([realm]),
  'eight Realms': () => together(realms),
}
const figures = Object.fromEntries(Object.keys(ways).map((name) => [name, []]))
for (let round = 0; round < Number(rounds); round++) {
  const names = Object.keys(ways) // forth and back: a processor that has just worked hard is not what it was
  for (const name of round % 2 ? names.reverse() : names) figures[name].push(await ways[name]())
}
await Promise.all(realms.map((each) => each.close()))

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1]
for (const [name, list] of Object.entries(figures)) {
  const all = list.map((x) => x.toFixed(1)).join(' ')
  console.log(name.padEnd(16), median(list).toFixed(1).padStart(8), 'tokens/s', all)
}
const over = (name, of) => median(figures[name].map((x, round) => x / figures[of][round]))
const share = (name, of) => `${(100 * over(name, of)).toFixed(1)}%`
console.log(`generateStream ${share('generateStream', 'engine')} of the engine, Realm ${share('Realm', 'engine')},`)
console.log(`eight Realms ${over('eight Realms', 'one Realm').toFixed(2)} times one`)
