// What it takes to have a package, beside others: bytes on the disk, and the time from the end of `npm install` to the first
// token of the same model and prompt; then how fast prompts and tokens go through each package's API, and the most memory that
// its process had. Each figure is of a process of its own, in turns, the first from its start until it prints a token.
// `make bench-install` runs it; the packages are those of build/release, or of build/npm where that is not there.
//
//     node js/bench/install.mjs [--rounds 5] [--again] MODEL.gguf...
//
// --again takes times only, of what is installed. Speeds are those of all models, the rest is the first one's.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, again: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const [model] = positionals
if (!model) throw new Error('usage: node js/bench/install.mjs [--rounds N] [--again] MODEL.gguf')

const build = fileURLToPath(new URL('../../build', import.meta.url))
const folder = join(build, 'bench-install')
const packages = [join(build, 'release'), join(build, 'npm')].find((dir) => existsSync(dir))
const { version } = JSON.parse(readFileSync(new URL('../sdk/package.json', import.meta.url), 'utf8'))
const platform = `${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`
const question = 'What is the capital of France?'
const story = 'Once upon a time there was a fox who lived beside a river and counted the boats. '.repeat(28)
const tokens = 128

// What both speed programs end with: a prompt of some 500 tokens, then single tokens.
const measure = `
      async function answer(prompt, count) {
        const start = performance.now()
        let first
        let n = 0
        for await (const _ of begin(prompt, count)) {
          first ??= performance.now()
          if (++n === count) break
        }
        return { prompt: first - start, decode: ((n - 1) * 1000) / (performance.now() - first) }
      }
      await answer('One day', 4)
      const { prompt, decode } = await answer(${JSON.stringify(story)}, ${tokens})
      const peak = process.resourceUsage().maxRSS / 1024
      console.log(JSON.stringify({ prefill: (length * 1000) / prompt, decode, peak }))
      process.exit()`

const contenders = {
  realm: {
    install: ['--offline', ...['sdk', platform].map((name) => join(packages, `realm-ai-${name}-${version}.tgz`))],
    program: `import { generateStream, storeModel } from '@realm-ai/sdk'
      const messages = [{ role: 'user', content: '${question}' }]
      const stream = generateStream(storeModel(process.argv[2]), messages, { temperature: 0, maxTokens: 1 })
      for await (const { text } of stream) process.stdout.write(text)`,
    speed: `import { generate, generateStream, storeModel } from '@realm-ai/sdk'
      const model = storeModel(process.argv[2])
      const options = { temperature: 0, ignoreEndOfGeneration: true }
      const begin = (prompt, maxTokens) => generateStream(model, prompt, { ...options, maxTokens })
      const { usage: { promptTokens: length } } = await generate(model, ${JSON.stringify(story)}, { ...options, maxTokens: 1 })
      ${measure}`,
  },
  'node-llama-cpp': {
    install: ['node-llama-cpp@3.22.1'],
    // It would take four threads at least, which on two processors wait for each other: five times as long.
    program: `import { availableParallelism } from 'node:os'
      import { getLlama, LlamaChatSession } from 'node-llama-cpp'
      const llama = await getLlama({ gpu: false, build: 'never' })
      const model = await llama.loadModel({ modelPath: process.argv[2] })
      const threads = { ideal: availableParallelism(), min: availableParallelism() }
      const context = await model.createContext({ contextSize: 2048, threads })
      const session = new LlamaChatSession({ contextSequence: context.getSequence() })
      const onTextChunk = (text) => process.stdout.write(text)
      await session.prompt('${question}', { temperature: 0, maxTokens: 1, onTextChunk })
      process.exit()`,
    speed: `import { availableParallelism } from 'node:os'
      import { getLlama } from 'node-llama-cpp'
      const llama = await getLlama({ gpu: false, build: 'never' })
      const model = await llama.loadModel({ modelPath: process.argv[2] })
      const threads = { ideal: availableParallelism(), min: availableParallelism() }
      const context = await model.createContext({ contextSize: 2048, batchSize: 512, threads, flashAttention: true })
      const sequence = context.getSequence()
      const { length } = model.tokenize(${JSON.stringify(story)})
      async function* begin(prompt) {
        await sequence.clearHistory()
        yield* sequence.evaluate(model.tokenize(prompt), { temperature: 0, yieldEogToken: true })
      }
      ${measure}`,
  },
  'transformers.js': { install: ['@huggingface/transformers'] }, // whose models are of another format: its size only
}

/** Bytes and number of the files below a folder. */
function size(dir) {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = files.reduce((sum, file) => sum + statSync(join(file.parentPath ?? file.path, file.name)).size, 0)
  return { bytes, files: files.length }
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`

/** How many packages there are in node_modules, and the largest three. */
function largest(modules) {
  const inside = (part) => readdirSync(join(modules, part)).map((name) => `${part}/${name}`)
  const names = readdirSync(modules).filter((name) => !name.startsWith('.'))
  const packages = names.flatMap((name) => (name.startsWith('@') ? inside(name) : [name]))
  const sizes = packages.map((name) => ({ name, bytes: size(join(modules, name)).bytes }))
  const top = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 3)
  return `${packages.length} packages, ${top.map(({ name, bytes }) => `${name} ${megabytes(bytes)}`).join(', ')}`
}

/** Milliseconds from the start of a process to what it prints first. */
function firstToken(name, cache) {
  const env = { ...process.env, REALM_CACHE: cache }
  const begun = performance.now()
  const child = spawn(process.execPath, ['first.mjs', resolve(model)], { cwd: join(folder, name), env, stdio: ['ignore', 'pipe', 'inherit'] }) // biome-ignore format: one line
  return new Promise((resolve, reject) => {
    let time
    child.stdout.on('data', () => {
      time ??= performance.now() - begun
    })
    child.on('close', (code) => (code === 0 && time ? resolve(time) : reject(new Error(`${name} ended with ${code}`))))
  })
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Installs all of them in empty folders, and prints what that takes. */
function install() {
  rmSync(folder, { recursive: true, force: true })
  for (const [name, { install }] of Object.entries(contenders)) {
    const dir = join(folder, name)
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'package.json'), '{ "private": true }')
    // Without scripts: what they would fetch is for GPUs, and not what is compared.
    const arguments_ = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', ...install]
    execFileSync('npm', arguments_, { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
    const { bytes, files } = size(join(dir, 'node_modules'))
    console.log(`${name}: ${megabytes(bytes)} in ${files} files; ${largest(join(dir, 'node_modules'))}`)
  }
}

if (!values.again) install()
for (const [name, { program, speed }] of Object.entries(contenders)) {
  if (program) writeFileSync(join(folder, name, 'first.mjs'), program)
  if (speed) writeFileSync(join(folder, name, 'speed.mjs'), speed)
}
const caches = join(folder, 'cache')
rmSync(caches, { recursive: true, force: true })
const times = { 'realm, the first time': [], 'realm, later': [], 'node-llama-cpp': [] }
for (let round = 0; round < Number(values.rounds); round++) {
  const cache = join(caches, String(round)) // where Realm has put nothing yet
  times['realm, the first time'].push(await firstToken('realm', cache))
  times['node-llama-cpp'].push(await firstToken('node-llama-cpp', cache))
  times['realm, later'].push(await firstToken('realm', cache))
}
for (const [what, values] of Object.entries(times)) {
  console.log(
    `${what}: ${median(values).toFixed(0)} ms to the first token (${values.map((v) => v.toFixed(0)).join(', ')})`,
  )
}

const cache = join(caches, 'speed')
for (const model of positionals) {
  const figures = { realm: [], 'node-llama-cpp': [] }
  for (let round = -1; round < Number(values.rounds); round++) {
    for (const [name, list] of Object.entries(figures)) {
      const options = { cwd: join(folder, name), env: { ...process.env, REALM_CACHE: cache }, encoding: 'utf8' }
      const said = execFileSync(process.execPath, ['speed.mjs', resolve(model)], options)
      if (round >= 0) list.push(JSON.parse(said)) // the first one's is to have all in the page cache
    }
  }
  for (const what of ['prefill', 'decode', 'peak']) {
    const [ours, theirs] = Object.values(figures).map((list) => median(list.map((one) => one[what])))
    const ratio = median(figures.realm.map((one, round) => one[what] / figures['node-llama-cpp'][round][what]))
    const unit = what === 'peak' ? 'MiB' : 'tokens/s'
    console.log(
      `${basename(model)}, ${what}: realm ${ours.toFixed(0)}, node-llama-cpp ${theirs.toFixed(0)} ${unit}, ${ratio.toFixed(2)}`,
    )
  }
}
