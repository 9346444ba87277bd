import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { long, tiny } from './models.mjs'

const run = promisify(execFile)
const sdk = fileURLToPath(new URL('..', import.meta.url))
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'realm-package-'))
after(() => rmSync(folder, { recursive: true }))
let tarball

// The package as users get it: packed, and installed in a folder of its own.
before(async () => {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: sdk })
  const [packed] = JSON.parse(stdout)
  tarball = join(folder, packed.filename)
  for (const file of ['native/index.node', 'native/guest.wasm', 'esm/index.js', 'cjs/index.js', 'cjs/thread.js']) {
    assert.ok(packed.files.some(({ path }) => path === file), `${file} is not in the package`) // biome-ignore format: one line
  }
  assert.ok(!packed.files.some(({ path }) => path.startsWith('test/') || path.startsWith('src/')))
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }')
  await run('npm', ['install', '--no-audit', '--no-fund', '--offline', tarball], { cwd: folder })
})

const answers = `
  const id = storeModel(process.argv[2] ?? workerData)
  const options = { temperature: 0, maxTokens: 8, ignoreEndOfGeneration: true }
  const direct = await generate(id, 'One day', options)
  const realm = new Realm({ model: id })
  const { guest, ...boxed } = await realm.generate('One day', options)
  await realm.close()
  if (JSON.stringify(direct) !== JSON.stringify(boxed) || guest.fuel === 0) throw new Error('answers differ')
  try {
    getModelInfo(id + 1)
  } catch (error) {
    if (!(error instanceof RealmError)) throw error
    console.log(error.code)
  }`
const names = '{ generate, getModelInfo, Realm, RealmError, storeModel }'
const programs = {
  'esm.mjs': `import ${names} from '@realm-ai/sdk'\n${answers}`,
  'commonjs.cjs': `const ${names} = require('@realm-ai/sdk')\n;(async () => {${answers}})()`,
  'worker.mjs': `import { Worker } from 'node:worker_threads'
    new Worker(new URL('./thread.mjs', import.meta.url), { workerData: process.argv[2], argv: [] })`,
}

async function runs(node) {
  writeFileSync(
    join(folder, 'thread.mjs'),
    `import { workerData } from 'node:worker_threads'\nimport ${names} from '@realm-ai/sdk'\n${answers}`,
  )
  for (const [file, program] of Object.entries(programs)) {
    writeFileSync(join(folder, file), program)
    const { stdout, stderr } = await run(node, [file, tiny], { cwd: folder })
    assert.equal(stdout, 'REALM_NOT_FOUND\n', file)
    assert.equal(stderr, '', file)
  }
}

test('the packed package runs from ES modules, CommonJS and workers', () => runs(process.execPath))

test('its types compile strictly for both', async () => {
  const typescript = `import { generateStream, getTensor, Realm, RealmError, storeModel } from '@realm-ai/sdk'
    import type { Chunk, ErrorCode, Result, SandboxResult } from '@realm-ai/sdk'
    export async function ask(): Promise<Result> {
      const model: number = storeModel('model.gguf')
      const weights: ArrayBuffer = getTensor(model, 'token_embd.weight')
      const realm = new Realm({ model, timeout: weights.byteLength })
      try {
        const stream = generateStream(model, [{ role: 'user', content: 'x' }], { maxTokens: 3 })
        for await (const chunk of stream) { const c: Chunk = chunk; c.text.length }
        const result: SandboxResult = await realm.generate('x', { signal: AbortSignal.timeout(5) })
        const fuel: number = result.guest.fuel
        return { ...result, text: String(fuel) }
      } catch (error) {
        if (error instanceof RealmError) { const code: ErrorCode = error.code; throw new Error(code) }
        throw error
      }
    }
    // @ts-expect-error: an option that is not there
    export const wrong = () => new Realm({ model: 1, fule: 3 })\n`
  for (const file of ['user.mts', 'user.cts']) writeFileSync(join(folder, file), typescript)
  const compiler = join(modules, 'typescript', 'bin', 'tsc')
  const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'node16', '--exactOptionalPropertyTypes']
  const types = ['--typeRoots', join(modules, '@types'), '--types', 'node']
  await run(process.execPath, [compiler, ...flags, ...types, 'user.mts', 'user.cts'], { cwd: folder }).catch((error) =>
    assert.fail(error.stdout),
  )
})

test('the declarations that package.json names are in the package', () => {
  const installed = join(folder, 'node_modules', '@realm-ai', 'sdk')
  const { exports, main, types } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  const paths = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(paths))
  for (const path of [...paths(exports), main, types]) readFileSync(join(installed, path))
})

test('newer versions of Node', { skip: long ? false : 'fetches Node 22 and 24: with REALM_LONG=1' }, async () => {
  for (const version of ['22', '24']) {
    const place = mkdtempSync(join(folder, 'node-'))
    writeFileSync(join(place, 'package.json'), '{ "private": true }')
    await run('npm', ['install', '--no-audit', '--no-fund', `node@${version}`], { cwd: place })
    const node = join(place, 'node_modules', 'node', 'bin', 'node')
    assert.match((await run(node, ['--version'])).stdout, new RegExp(`^v${version}\\.`))
    await runs(node)
  }
})
