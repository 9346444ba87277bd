'use strict'

// Finds the native parts: the addon `index.node`, and the command line `bin/realm`, which is all there is on platforms
// that have no addon. They are in a package for each platform (platforms.json), which are optional dependencies of this
// one: npm installs the package that fits and no other.

const { existsSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { version } = require('../package.json')
const platforms = require('./platforms.json')

/** What can be found: the file, here and in a platform's package, and the variable that names another one. */
const parts = {
  addon: { file: 'index.node', variable: 'REALM_ADDON' },
  command: { file: join('bin', process.platform === 'win32' ? 'realm.exe' : 'realm'), variable: 'REALM_HOST' },
}

/** The C library of this process, by what Node says that it was linked with. */
function libc() {
  if (process.platform !== 'linux') return undefined
  process.report.excludeNetwork = true // looking up names of peers may take seconds
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
}

/** This platform: its name in platforms.json where it is there, and a description for messages. */
function host() {
  const { platform: os, arch: cpu } = process
  const c = libc()
  const name = Object.keys(platforms).find((name) => {
    const p = platforms[name]
    return p.os === os && p.cpu === cpu && p.libc === c
  })
  return { name, text: `os ${os}, cpu ${cpu}${c ? `, libc ${c}` : ''}, Node ${process.version}` }
}

/** The folder and the version of a platform's package, as npm, pnpm and Yarn install it, or undefined. */
function installed(name) {
  try {
    const manifest = require.resolve(`@realm-ai/${name}/package.json`)
    return { folder: dirname(manifest), version: require(manifest).version }
  } catch {
    return undefined
  }
}

function failure(code, ...lines) {
  return Object.assign(new Error(`realm: ${lines.join('\n')}`), { code })
}

/** The path of a part. Where it is not, the error says what was looked for and what to do. */
function find(part) {
  const { file, variable } = parts[part]
  const named = process.env[variable]
  if (named) {
    if (existsSync(named)) return named
    throw failure('REALM_NOT_FOUND', `${variable} names ${named}, which is not there`)
  }
  const development = join(__dirname, file)
  if (existsSync(development)) return development

  const { name, text } = host()
  if (!name) {
    throw failure(
      'REALM_UNSUPPORTED',
      `this platform is not supported (${text})`,
      `Supported are ${Object.keys(platforms).join(', ')}.`,
      `${variable}=FILE names one that you built yourself.`,
    )
  }
  const id = `@realm-ai/${name}`
  if (part === 'addon' && !platforms[name].addon) {
    const others = Object.keys(platforms).filter((other) => platforms[other].addon)
    throw failure(
      'REALM_UNSUPPORTED',
      `there is no addon for this platform (${text}), only the command line in ${id}`,
      `The addon is there for ${others.join(', ')}.`,
    )
  }
  const found = installed(name)
  if (!found) {
    const others = Object.keys(platforms).filter(installed)
    throw failure(
      'REALM_NOT_FOUND',
      `the package ${id}, which has the native part for this platform (${text}), is not installed`,
      `Looked for ${development}, then for ${id} from ${__dirname}.`,
      others.length > 0
        ? `Installed is ${others.join(', ')}: node_modules was made on, or for, another platform. Install again on this one.`
        : 'It is an optional dependency: --omit=optional, or a lock file made on another platform, leaves it out.',
      `Try: npm install --include=optional @realm-ai/sdk@${version}`,
      `Or:  npm install --force ${id}@${version}`,
    )
  }
  if (found.version !== version) {
    throw failure(
      'REALM_CONFLICT',
      `${id} in ${found.folder} has version ${found.version}, and @realm-ai/sdk ${version}: they must be the same`,
      `Try: npm install ${id}@${version}`,
    )
  }
  const path = join(found.folder, file)
  if (existsSync(path)) return path
  throw failure(
    'REALM_NOT_FOUND',
    `${path} is not there, though ${id} is installed (${text})`,
    `Try: npm install --force ${id}@${version}`,
  )
}

/** Whether this platform has an addon: built here, named by REALM_ADDON, or in the platform's package. */
function hasAddon() {
  const { file, variable } = parts.addon
  if (process.env[variable] || existsSync(join(__dirname, file))) return true
  const { name } = host()
  return name !== undefined && platforms[name].addon !== undefined
}

module.exports = { find, hasAddon, host }
