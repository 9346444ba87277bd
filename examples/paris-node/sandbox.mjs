// Answers in a sandbox: tokenizer, template, sampler and loop run in WebAssembly, in a thread of their own, and reach the
// model through host functions: node sandbox.mjs MODEL.gguf [PROMPT]
import { getModelInfo, Realm, removeModel, storeModelAsync } from '@realm-ai/sdk'

const [path, content = 'What is the capital of France?'] = process.argv.slice(2)
const model = await storeModelAsync(path)
const info = getModelInfo(model)
console.log(`layers  ${info.layers}\nvocab   ${info.vocab_size}`)

const realm = new Realm({ model, memoryLimit: 64 << 20, timeout: 60_000 })
const messages = [
  { role: 'system', content: 'You are a helpful AI assistant.' },
  { role: 'user', content },
]
const answer = realm.generateStream(messages, { temperature: 0, maxTokens: 64 })
let step = await answer.next()
for (; !step.done; step = await answer.next()) process.stdout.write(step.value.text)
await realm.close()

const { usage, guest } = step.value
console.log(`\n\ntokens encoded  ${usage.promptTokens}, drawn  ${usage.completionTokens}, fuel  ${guest.fuel.toLocaleString('en')}`)
console.log('host calls')
for (const [name, calls] of Object.entries(guest.hostCalls)) console.log(`  ${name.padEnd(26)}${String(calls).padStart(6)}`)
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1).padStart(8)} MiB`
console.log('memory')
console.log(`  model file                ${mib(info.file_size)}`)
console.log(`  process, resident         ${mib(process.memoryUsage().rss)}`)
console.log(`  sandbox                   ${mib(guest.memoryBytes)}`)
console.log(`  weights in the sandbox    ${String(guest.weightBytes).padStart(8)} bytes`)
removeModel(model)
