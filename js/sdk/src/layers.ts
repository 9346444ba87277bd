import { type BackendOptions, backendOf, sessionBackend } from './backend.js'
import { RealmError } from './errors.js'
import { type Abortable, call, newBuffer } from './models.js'
import { run } from './operation.js'

/** Token IDs. */
export type Tokens = readonly number[] | Int32Array | Uint32Array

/** Where the values of a call go. */
export interface ValuesOptions {
  /** Holds the values and is what is returned; without it there is a new array. */
  into?: Float32Array
}

/**
 * Begins an empty sequence of tokens, with a KV cache of its own, and returns its number: what the functions of this file
 * work on, in the thread that created it. It holds the model until closeSession.
 */
export function createSession(modelId: number, options: BackendOptions = {}): number {
  const backend = backendOf(options, modelId)
  const session = call(() => backend.createSession(modelId))
  shapes.set(
    session,
    call(() => backend.getModelInfo(modelId)),
  )
  return session
}

/** Frees a sequence. Calls in progress with it fail with `REALM_CLOSED`. */
export function closeSession(session: number): void {
  call(() => sessionBackend(session).closeSession(session))
  shapes.delete(session)
}

/** Returns the hidden states of tokens before the first layer: (tokens, hidden_size), row after row. */
export function embedTokens(session: number, tokens: Tokens, options: ValuesOptions = {}): Float32Array {
  const ids = Int32Array.from(tokens)
  const into = options.into ?? values(session, ids.length, 'hidden_size')
  call(() => sessionBackend(session).embedTokens(session, ids, into))
  return into
}

/**
 * Runs one whole transformer layer (norm, attention with the KV cache, feed-forward network, residuals) on the hidden
 * states of tokens at position, position+1, ..., and returns theirs after it. Each layer has a length of its own: position
 * is at most that, and what stood at and beyond it is dropped. `into` may be the hidden states themselves. Hidden states are
 * (tokens, hidden_size), row after row.
 */
export function forwardLayer(
  session: number,
  layer: number,
  hidden: Float32Array,
  position: number,
  options: ValuesOptions = {},
): Float32Array {
  const into = copy(hidden, options)
  call(() => sessionBackend(session).forwardLayer(session, layer, into, position))
  return into
}

/** Returns the logits, vocab_size of them, of one token's hidden state after the last layer. */
export function computeLogits(session: number, hidden: Float32Array, options: ValuesOptions = {}): Float32Array {
  const into = options.into ?? values(session, 1, 'vocab_size')
  call(() => sessionBackend(session).computeLogits(session, hidden, into))
  return into
}

/** embedTokens off the event loop. */
export async function embedTokensAsync(
  session: number,
  tokens: Tokens,
  options: ValuesOptions & Abortable = {},
): Promise<Float32Array> {
  const ids = Int32Array.from(tokens)
  const into = options.into ?? values(session, ids.length, 'hidden_size')
  await run('embedTokens', [session, ids, into], options.signal, undefined, sessionBackend(session))
  return into
}

/** forwardLayer off the event loop. A sequence takes one call at a time: `REALM_CONFLICT`. */
export async function forwardLayerAsync(
  session: number,
  layer: number,
  hidden: Float32Array,
  position: number,
  options: ValuesOptions & Abortable = {},
): Promise<Float32Array> {
  const into = copy(hidden, options)
  await run('forwardLayer', [session, layer, into, position], options.signal, undefined, sessionBackend(session))
  return into
}

/** computeLogits off the event loop. */
export async function computeLogitsAsync(
  session: number,
  hidden: Float32Array,
  options: ValuesOptions & Abortable = {},
): Promise<Float32Array> {
  const into = options.into ?? values(session, 1, 'vocab_size')
  await run('computeLogits', [session, hidden, into], options.signal, undefined, sessionBackend(session))
  return into
}

/** The shapes of this thread's sessions, which say how long results are. The backend checks every length. */
const shapes = new Map<number, { hidden_size: number; vocab_size: number }>()

function values(session: number, rows: number, width: 'hidden_size' | 'vocab_size'): Float32Array {
  return new Float32Array(newBuffer(4 * rows * (shapes.get(session)?.[width] ?? 0)))
}

function copy(hidden: Float32Array, { into }: ValuesOptions): Float32Array {
  if (into === hidden) return into
  if (into === undefined) return Float32Array.from(hidden)
  if (into.length !== hidden.length) {
    throw new RealmError(
      'REALM_INVALID_ARGUMENT',
      `realm: forwardLayer: into has ${into.length} values, hidden ${hidden.length}`,
    )
  }
  into.set(hidden)
  return into
}
