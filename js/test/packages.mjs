// Puts the packages that `make test-node` packed where a user has them. npm would ask a registry for the frameworks that some
// of them are for, so those are links to what js/node_modules has.
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const { host } = createRequire(import.meta.url)('../sdk/native/find.cjs')
const js = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

/** The packages for frameworks, by their folders. */
export const frameworks = ['ai-sdk', 'langchain']

/** The file of a package. REALM_PACKAGES names the folder of others, such as build/release. */
export function tarball(name) {
  const { version } = JSON.parse(readFileSync(join(js, 'sdk', 'package.json'), 'utf8'))
  return join(process.env.REALM_PACKAGES || join(js, '..', 'build', 'npm'), `realm-ai-${name}-${version}.tgz`)
}

/** The files of the SDK. */
export const sdk = ['sdk', host().name].map(tarball)

/** The AI SDK that wants this version of Node. */
const newest = Number(process.versions.node.split('.')[0]) < 22 ? 6 : 7

/** Installs all packages in a folder, beside AI SDK 6 or 7. */
export async function install(folder, aiSDK = newest) {
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true }')
  await run('npm', ['install', '--no-audit', '--no-fund', '--offline', ...sdk], { cwd: folder })
  const six = join('node_modules', 'ai-6')
  link(aiSDK === 6 ? six : join('node_modules', 'ai'), folder, 'ai')
  link(join(aiSDK === 6 ? six : '', 'node_modules', '@ai-sdk', 'provider'), folder, '@ai-sdk/provider')
  link(join('node_modules', '@langchain', 'core'), folder, '@langchain/core')
  for (const name of frameworks) {
    const place = join(folder, 'node_modules', '@realm-ai', name)
    mkdirSync(place)
    await run('tar', ['-xzf', tarball(name), '-C', place, '--strip-components', '1'])
  }
}

function link(target, folder, name) {
  const path = join(folder, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(js, target), path)
}
