// The packages for frameworks as users get them, with a tiny model; what they do is tested in their own folders.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { long, tiny } from '../sdk/test/models.mjs'
import { frameworks, install, sdk, tarball } from './packages.mjs'

const run = promisify(execFile)
const js = fileURLToPath(new URL('..', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'realm-frameworks-'))
after(() => rmSync(root, { recursive: true }))

const vercel = `
  const options = { temperature: 0, maxOutputTokens: 8, prompt: 'One day' }
  const { text } = await generateText({ model: realm(process.argv[2]), ...options })
  const boxed = await generateText({ model: createRealm({ sandbox: true })(process.argv[2]), ...options })
  if (boxed.text !== text || boxed.providerMetadata.realm.fuel === 0) throw new Error('answers differ')
  const messages = [{ role: 'user', content: 'One day' }]
  if ((await generate(await loadModel(process.argv[2]), messages, { temperature: 0, maxTokens: 8 })).text !== text) {
    throw new Error('an answer is not that of the SDK')
  }
  console.log('good')`
const langchain = `
  const { content } = await new ChatRealm({ model: process.argv[2], temperature: 0, maxTokens: 8 }).invoke('One day')
  const messages = [{ role: 'user', content: 'One day' }]
  if ((await generate(await loadModel(process.argv[2]), messages, { temperature: 0, maxTokens: 8 })).text !== content) {
    throw new Error('an answer is not that of the SDK')
  }
  console.log('good')`
const programs = []
for (const [names, body] of [
  [{ ai: 'generateText', '@realm-ai/ai-sdk': 'createRealm, realm' }, vercel],
  [{ ai: 'generateText', '@realm-ai/ai-sdk/v4': 'createRealm, realm' }, vercel],
  [{ '@realm-ai/langchain': 'ChatRealm' }, langchain],
]) {
  const all = Object.entries({ ...names, '@realm-ai/sdk': 'generate, loadModel' })
  const module = all.map(([from, what]) => `import { ${what} } from '${from}'`).join('\n') + body
  const script = `${all.map(([from, what]) => `const { ${what} } = require('${from}')`).join('\n')}
    ;(async () => {${body}})()`
  programs.push({ v4: '@realm-ai/ai-sdk/v4' in names, module, script })
}

async function runs(folder, version, node = process.execPath) {
  for (const [index, { v4, module, script }] of programs.entries()) {
    if (v4 && version === 6) continue
    for (const [file, text] of [
      [`program${index}.mjs`, module],
      [`program${index}.cjs`, script],
    ]) {
      writeFileSync(join(folder, file), text)
      const { stdout, stderr } = await run(node, [file, tiny], { cwd: folder })
      assert.equal(stdout, 'good\n', module)
      assert.equal(stderr, '', module)
    }
  }
}

const typescript = (entry, version) => `
  import type { LanguageModelV${version} } from '@ai-sdk/provider'
  import { createRealm, type RealmProvider, type RealmProviderOptions, type RealmProviderSettings } from '${entry}'
  import { createProviderRegistry, streamText } from 'ai'
  const settings: RealmProviderSettings = { sandbox: { timeout: 5 }, onProgress: ({ bytes }) => bytes.toFixed() }
  const provider: RealmProvider = createRealm(settings)
  const model: LanguageModelV${version} = provider('hf:org/repo')
  const options: RealmProviderOptions = { minP: 0.1, logitBias: { 5: 1 } }
  export const { textStream } = streamText({ model, prompt: 'x', providerOptions: { realm: { ...options } } })
  export const registered = createProviderRegistry({ provider }).languageModel('provider:model.gguf')
  // @ts-expect-error: an option that is not there
  createRealm({ sandbax: true })\n`
const typescriptOfChat = `
  import { StringOutputParser } from '@langchain/core/output_parsers'
  import { ChatPromptTemplate } from '@langchain/core/prompts'
  import { ChatRealm, type ChatRealmCallOptions, type ChatRealmFields } from '@realm-ai/langchain'
  const fields: ChatRealmFields = { model: 5, sandbox: true, temperature: 0, stop: ['x'], maxConcurrency: 2 }
  const model = new ChatRealm(fields)
  const options: Partial<ChatRealmCallOptions> = { minP: 0.1, signal: AbortSignal.timeout(5) }
  export const message: Promise<string> = model.invoke('x', options).then((answer) => answer.text)
  export const chain = ChatPromptTemplate.fromTemplate('{x}').pipe(model.withConfig({ seed: 4 })).pipe(new StringOutputParser())
  export const text: Promise<string> = chain.invoke({ x: 'y' })
  // @ts-expect-error: no model
  new ChatRealm({ temperature: 0 })\n`

for (const version of [6, 7]) {
  describe(`with AI SDK ${version}`, () => {
    const folder = mkdtempSync(join(root, `ai-${version}-`))
    before(() => install(folder, version))

    test('packages run from ES modules and CommonJS', () => runs(folder, version))

    test('packages have what their package.json names, and nothing else', () => {
      for (const name of frameworks) {
        const place = join(folder, 'node_modules', '@realm-ai', name)
        const { exports, main, types } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'))
        const paths = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(paths))
        for (const path of [...paths(exports), main, types, 'README.md']) {
          assert.ok(existsSync(join(place, path)), `${path} is not in ${place}`)
        }
        const files = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        const others = files.map((entry) => entry.name).filter((file) => !/^[a-z0-9]+\.(js|js\.map|d\.ts)$/.test(file))
        const documents = ['LICENSE', 'README.md', 'THIRD_PARTY_NOTICES.txt']
        assert.deepEqual(others.sort(), [...documents, 'package.json', 'package.json'])
        // Whose types differ between releases, of which the user may have another than the AI SDK.
        for (const { parentPath, name } of files.filter(({ name }) => name.endsWith('.d.ts'))) {
          assert.doesNotMatch(readFileSync(join(parentPath, name), 'utf8'), /@ai-sdk\/provider'/, name)
        }
      }
    })

    const skip = version === 7 && !long && 'takes ten seconds: with REALM_LONG=1'
    test('types compile strictly for both', { skip }, async () => {
      const entries = version === 6 ? ['@realm-ai/ai-sdk'] : ['@realm-ai/ai-sdk', '@realm-ai/ai-sdk/v4']
      const files = { chat: typescriptOfChat }
      for (const entry of entries)
        files[entry.endsWith('v4') ? 'v4' : 'v3'] = typescript(entry, entry.endsWith('v4') ? 4 : 3)
      const names = Object.keys(files).flatMap((name) => [`${name}.mts`, `${name}.cts`])
      for (const name of names) writeFileSync(join(folder, name), files[name.slice(0, -4)])
      const compiler = join(js, 'node_modules', 'typescript', 'bin', 'tsc')
      const flags = [
        '--strict',
        '--noEmit',
        '--target',
        'es2022',
        '--module',
        'nodenext',
        '--exactOptionalPropertyTypes',
      ]
      const types = ['--typeRoots', join(js, 'node_modules', '@types'), '--types', 'node', '--skipLibCheck']
      await run(process.execPath, [compiler, ...flags, ...types, ...names], { cwd: folder }).catch((error) =>
        assert.fail(error.stdout),
      )
    })
  })
}

describe('from the registry', {
  skip: !long && 'fetches the frameworks, and Node 22 and 24: with REALM_LONG=1',
}, () => {
  for (const [version, node, core] of [
    [6, '20', '1.2.0'],
    [7, '22', 'latest'],
    [7, '24', 'latest'],
  ]) {
    test(`AI SDK ${version}, @langchain/core ${core}, Node ${node}`, async () => {
      const folder = mkdtempSync(join(root, `node-${node}-`))
      writeFileSync(join(folder, 'package.json'), '{ "private": true }')
      const names = [`node@${node}`, `ai@${version}`, `@langchain/core@${core}`, ...sdk, ...frameworks.map(tarball)]
      await run('npm', ['install', '--no-audit', '--no-fund', ...names], { cwd: folder })
      const binary = join(folder, 'node_modules', 'node', 'bin', 'node')
      assert.match((await run(binary, ['--version'])).stdout, new RegExp(`^v${node}\\.`))
      await runs(folder, version, binary)
      // With the LangChain that was installed, and with the AI SDKs that js has.
      const models = pathToFileURL(join(js, 'sdk', 'test', 'models.mjs'))
      const chat = readFileSync(join(js, 'langchain', 'test', 'chat.test.mjs'), 'utf8')
      writeFileSync(join(folder, 'chat.test.mjs'), chat.replace('../../sdk/test/models.mjs', models))
      const tests = ['chat.test.mjs', join(js, 'ai-sdk', 'test', 'provider.test.mjs')]
      await run(binary, ['--test', ...tests], { cwd: folder }).catch((error) => assert.fail(error.stdout))
    })
  }
})
