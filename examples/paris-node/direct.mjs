// Streams an answer by the engine itself, without a sandbox: node direct.mjs MODEL.gguf [PROMPT]
import { generateStream, removeModel, storeModelAsync } from '@realm-ai/sdk'

const [path, content = 'What is the capital of France?'] = process.argv.slice(2)
const model = await storeModelAsync(path)
const messages = [
  { role: 'system', content: 'You are a helpful AI assistant.' },
  { role: 'user', content },
]
for await (const { text } of generateStream(model, messages, { temperature: 0, maxTokens: 64 })) {
  process.stdout.write(text)
}
process.stdout.write('\n')
removeModel(model)
