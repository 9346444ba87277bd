// Runs what the documentation shows. In README.md, js/*/README.md and docs/guides each fenced block is one of
//
//   sh      commands for bash, in a folder of the page's own, where model.gguf is $REALM_MODEL and ../realm the checkout
//   js, go  a program, if it imports something; else it goes on where the page's last program ended
//   text    behind one of these, what it prints: … stands for what differs, on a line of its own for any number of lines
//   mermaid a picture
//
// Behind the language there may be file=NAME: the block is written there instead of being run; fails: the commands end
// with an exit code above 0; norun: it is not run, and its first line is in the list below. HF_ENDPOINT is a server that has
// the model. Blocks that need the model skip without it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { install } from './packages.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const model = process.env.REALM_MODEL || undefined
const languages = ['sh', 'js', 'go', 'text', 'mermaid']

/** What is not run, by the first line, and why. */
const norun = {
  'npm install @realm-ai/sdk': 'it is in no registry yet',
  'clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -I ../realm/guest -o guest-c.wasm ../realm/examples/guest-c/guest.c':
    'wants clang; examples_test.go does it where there is one',
  'tinygo build -target=wasip1 -buildmode=c-shared -opt=z -panic=trap -o yesno.wasm ./yesno':
    'wants TinyGo; make guest-tiny builds a guest with it',
  'git clone https://github.com/realm-ai/realm && cd realm': 'make demo is a target of its own',
  'git clone https://github.com/realm-ai/realm': 'the checkout is there',
}

const markdown = (folder) =>
  fs.existsSync(join(root, folder)) ? fs.readdirSync(join(root, folder)).filter((name) => name.endsWith('.md')) : []
const packages = JSON.parse(fs.readFileSync(join(root, 'js/package.json'), 'utf8')).workspaces
const pages = [
  'README.md',
  ...packages.map((name) => `js/${name}/README.md`).filter((page) => fs.existsSync(join(root, page))),
  ...markdown('docs/guides').map((name) => `docs/guides/${name}`),
]

/** The fenced blocks of a page. A text block belongs to the block before it, as its output. */
function blocks(page) {
  const found = []
  let open
  for (const [index, line] of fs.readFileSync(join(root, page), 'utf8').split('\n').entries()) {
    const where = `${page}:${index + 1}`
    if (open === undefined) {
      assert.doesNotMatch(line, /^ {4,}\S/, `${where}: indented code, which nobody runs: fence it`)
      const [, info] = /^```(.*)$/.exec(line) ?? []
      if (info === undefined) continue
      const [language, ...options] = info.split(' ')
      assert.ok(
        languages.includes(language),
        `${where}: a block in ${language || 'no language'}: want one of ${languages}`,
      )
      open = { where, language, options, text: '' }
    } else if (line === '```') {
      if (open.language === 'text') {
        const last = found.at(-1)
        assert.ok(
          last && last.output === undefined && last.language !== 'mermaid',
          `${open.where}: the output of what?`,
        )
        last.output = open.text
      } else {
        found.push(open)
      }
      open = undefined
    } else {
      open.text += `${line}\n`
    }
  }
  assert.equal(open, undefined, `${open?.where}: no end`)
  return found
}

/** A pattern for what a text block says. */
function pattern(text) {
  const escaped = text.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/^…$\n?/gm, '(?:.*\\n)*?.*').replace(/…/g, '.*')}$`)
}

const folder = fs.mkdtempSync(join(tmpdir(), 'realm-snippets-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))
const env = {
  ...process.env,
  PATH: `${join(root, 'build')}:${process.env.PATH}`,
  GOFLAGS: '-mod=mod',
  GONOSUMDB: '*', // go.sum of this project vouches for what is fetched; the database of checksums need not be in reach
  GOPROXY: 'off',
  GOWORK: 'off',
}
for (const name of ['REALM_MODEL', 'REALM_CPU', 'REALM_MIRROR', 'REALM_OFFLINE', 'HF_TOKEN']) delete env[name]

/** Runs commands as a terminal would show them: both streams, one after the other. */
async function run(commands, cwd, settings) {
  const child = spawn('bash', ['-eo', 'pipefail', '-c', `exec 2>&1\n${commands}`], {
    cwd,
    env: { ...env, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  return { code, output }
}

const repository = 'bartowski/SmolLM2-135M-Instruct-GGUF'
const file = 'SmolLM2-135M-Instruct-Q4_K_M.gguf'
const hub = createServer((request, response) => {
  if (request.url.startsWith(`/api/models/${repository}/tree/main`)) {
    const { size } = fs.statSync(model)
    const oid = createHash('sha256').update(fs.readFileSync(model)).digest('hex')
    response.end(JSON.stringify([{ type: 'file', path: file, size, lfs: { oid } }]))
  } else if (request.url === `/${repository}/resolve/main/${file}`) {
    response.setHeader('Content-Length', fs.statSync(model).size)
    pipeline(fs.createReadStream(model), response).catch(() => {})
  } else {
    response.statusCode = 404
    response.end()
  }
})

/** What a page's programs print between the parts that stand in blocks of their own. */
const mark = '\u0001'

/** The programs of a page: lists of blocks that go on where the one before ended. */
function programs(list) {
  const found = []
  for (const block of list) {
    if (!['js', 'go'].includes(block.language) || block.options.length !== 0) continue
    if (/^(import|package)\b/m.test(block.text)) {
      found.push([block])
    } else {
      const last = found.findLast(([first]) => first.language === block.language)
      assert.ok(last, `${block.where}: a part of a program, and there is no beginning`)
      last.push(block)
    }
  }
  return found
}

/** Packages that a part of a Go program may name without an import. */
const imports = [
  'context',
  'errors',
  'fmt',
  'os',
  'time',
  'github.com/realm-ai/realm',
  'github.com/realm-ai/realm/wasm',
]

function goProgram([first, ...rest]) {
  let text = first.text
  for (const block of rest) {
    const end = text.lastIndexOf('}')
    text = `${text.slice(0, end)}\nprint("\\x01")\n${block.text}\n}\n`
  }
  const missing = imports.filter((path) => {
    const name = path.split('/').at(-1)
    return new RegExp(`\\b${name}\\.`).test(text) && !text.includes(`"${path}"`)
  })
  return text.replace(/^package main$/m, `package main\n${missing.map((path) => `import "${path}"`).join('\n')}`)
}

const all = pages.map((page) => ({ page, list: blocks(page) }))
const goModule = join(folder, 'programs')
let endpoint
let built

before(async () => {
  fs.symlinkSync(root, join(folder, 'realm'))
  await new Promise((resolve) => hub.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${hub.address().port}`
  await install(folder)

  // Every program in Go is compiled in one go.
  fs.mkdirSync(goModule)
  const replace = '-replace github.com/realm-ai/realm=../realm -require github.com/realm-ai/realm@v0.0.0'
  for (const { list } of all) {
    for (const [index, program] of programs(list).entries()) {
      if (program[0].language !== 'go') continue
      program[0].binary = program[0].where.replace(/\W/g, '-') + index
      fs.mkdirSync(join(goModule, program[0].binary))
      fs.writeFileSync(join(goModule, program[0].binary, 'main.go'), goProgram(program))
    }
  }
  built = await run(
    `cp ../realm/go.sum . && go mod init programs && go mod edit ${replace} && go build -ldflags=-s -o bin/ ./...`,
    goModule,
  )
})
after(() => hub.close())

for (const { page, list } of all) {
  test(page, async (t) => {
    const place = join(folder, page.replace(/\W/g, '-'))
    fs.mkdirSync(place)
    if (model !== undefined) fs.symlinkSync(fs.realpathSync(model), join(place, 'model.gguf'))
    const settings = { REALM_CACHE: join(folder, 'cache'), HF_ENDPOINT: endpoint }
    const parts = new Map(programs(list).flatMap((program) => program.map((block) => [block, program])))
    let wanted = false
    for (const block of list) {
      const { where, language, options, text, output: want } = block
      if (language === 'mermaid') continue
      const [option] = options
      const program = parts.get(block)
      const wants = (program ?? [block]).some((part) => /model\.gguf|\bhf:/.test(part.text))
      wanted ||= wants
      if (option === 'norun') {
        const [line] = text.split('\n')
        assert.ok(norun[line], `${where}: a block that nobody runs, and the list of those does not have ${line}`)
        delete norun[line]
        continue
      }
      if (option?.startsWith('file=')) {
        const path = join(place, option.slice('file='.length))
        fs.mkdirSync(dirname(path), { recursive: true })
        fs.writeFileSync(path, text)
        continue
      }
      assert.ok(option === undefined || option === 'fails', `${where}: no such option: ${options}`)
      // Commands go on where those before them ended.
      const skip = model === undefined && (program ? wants : wanted) && 'REALM_MODEL is not set'
      await t.test(where, { skip }, async () => {
        let code
        let output
        if (program === undefined) {
          ;({ code, output } = await run(text, place, settings))
        } else {
          program[0].result ??= run(command(program, place), place, settings)
          ;({ code, output } = await program[0].result)
          output = output.split(mark)[program.indexOf(block)]?.replace(/^\n/, '') ?? output
        }
        assert.equal(code !== 0, option === 'fails', `exit code ${code}:\n${output}`)
        if (want !== undefined) assert.match(output.trimEnd(), pattern(want))
      })
    }
  })
}

/** The command that runs a program. */
function command(program, place) {
  const [{ language, binary, where }] = program
  if (language === 'go') {
    const path = join(goModule, 'bin', binary)
    if (!fs.existsSync(path)) return `echo ${JSON.stringify(built.output)}; exit 1`
    return `exec ${path}`
  }
  const name = `${where.replace(/\W/g, '-')}.mjs`
  fs.writeFileSync(join(place, name), program.map(({ text }) => text).join(`console.log('\\u0001')\n`))
  return `exec node ${name}`
}

test('no block is in the list of those that are not run and nowhere else', () => assert.deepEqual(norun, {}))

test('output is compared to the letter, but for …', () => {
  for (const [want, got, same] of [
    ['a (b)\n', 'a (b)', true],
    ['a', 'ab', false],
    ['a …, c', 'a b b, c', true],
    ['a …, c', 'a b\nb, c', false],
    ['a\n…\nc', 'a\nc', true],
    ['a\n…\nc', 'a\nb\nb\nc', true],
    ['a\n…\nc', 'a\nb\nd', false],
    ['…\nc', 'c', true],
    ['a\n…', 'a\nb\nb', true],
  ]) {
    assert.equal(pattern(want).test(got), same, `${want} and ${got}`)
  }
})

test('links lead somewhere', () => {
  for (const page of pages) {
    const text = fs.readFileSync(join(root, page), 'utf8')
    for (const [, target] of text.matchAll(/\]\((?!\w+:)([^)#]+)[^)]*\)/g)) {
      const path = join(root, dirname(page), target)
      assert.ok(fs.existsSync(path), `${page}: ${relative(root, path)} is not there`)
    }
  }
})
