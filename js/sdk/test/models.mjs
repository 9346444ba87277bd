// The models that the tests use, of which `make test-node` makes the tiny one and says where the real one is, and the addon.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

export const tiny = fileURLToPath(new URL('../../../build/models/tiny-llama-q4_1.gguf', import.meta.url))
if (!existsSync(tiny)) throw new Error(`${tiny} is not there: run the tests with make test-node`)

export const command = fileURLToPath(new URL('../../../build/realm', import.meta.url))

/** The path of the real model, and an option that skips a test without it. */
export const real = process.env.REALM_MODEL || undefined
export const needsReal = real ? {} : { skip: 'REALM_MODEL is not set: make test-node fetches a model and sets it' }

/** Whether the tests that take minutes run too. */
export const long = process.env.REALM_LONG === '1'

/** The module that loads the addon, with all its functions; the package exports those of its users. */
export const loader = fileURLToPath(new URL('../native/load.cjs', import.meta.url))
export const addon = createRequire(import.meta.url)(loader)
