// The models that the tests use. `make test-node` makes the tiny one and says where the real one is.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const tiny = fileURLToPath(new URL('../../../build/models/tiny-llama-q4_1.gguf', import.meta.url))
if (!existsSync(tiny)) throw new Error(`${tiny} is not there: run the tests with make test-node`)

export const command = fileURLToPath(new URL('../../../build/realm', import.meta.url))

/** The path of the real model, and an option that skips a test without it. */
export const real = process.env.REALM_MODEL || undefined
export const needsReal = real ? {} : { skip: 'REALM_MODEL is not set: make test-node fetches a model and sets it' }

/** Whether the tests that take minutes run too. */
export const long = process.env.REALM_LONG === '1'
