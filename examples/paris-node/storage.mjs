// Stores a model, looks at it, dequantizes a tensor, and removes it again: node storage.mjs MODEL.gguf
import { getModelInfo, getTensorAsync, RealmError, removeModel, storeModelAsync } from '@realm-ai/sdk'

const [path] = process.argv.slice(2)
const id = await storeModelAsync(path)
const { name, tensor_count, total_size } = getModelInfo(id)
console.log(`model         0x${id.toString(16).padStart(8, '0')}  ${name}`)
console.log(`tensor_count  ${tensor_count}`)
console.log(`total_size    ${total_size.toLocaleString('en')} bytes, quantized`)

const weights = await getTensorAsync(id, 'token_embd.weight')
console.log(`token_embd    ${weights.byteLength.toLocaleString('en')} bytes as float32`)

removeModel(id)
try {
  getModelInfo(id)
} catch (error) {
  if (!(error instanceof RealmError)) throw error
  console.log(`removed       ${error.code}`)
}
