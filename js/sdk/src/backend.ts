import files from '../native/files.cjs'
import { RealmError, toRealmError } from './errors.js'
import { type Backend, native } from './native.js'
import { isHostSession, type ProcessBackend, processBackend } from './process/client.js'

/**
 * Where models run. `addon`: in this process. `process`: in a child process, the program `realm`, so that whatever happens
 * there leaves this process alone.
 */
export type BackendName = 'addon' | 'process'

/** Options of a call that chooses where it runs. */
export interface BackendOptions {
  /**
   * Where the model runs. Default: where it was stored; for one that is being stored, what `REALM_BACKEND` says, else
   * `addon`, or `process` on platforms that have no addon.
   *
   * The host process is started by the first call and ends with this one. When it dies, calls in progress fail with
   * `REALM_HOST_DIED`, and the next call starts another, which is given the models again that were stored by their paths.
   * Those that were stored as bytes, and sessions, are gone. Worker threads share the host of the thread that started them,
   * if that had one by then; on Windows each has its own.
   */
  backend?: BackendName
  /**
   * The program of the host process, for the call that starts it. Default: what `REALM_HOST` says, else the one that comes
   * with the package.
   */
  hostPath?: string
}

/** Where models were stored last, if that is not the default. */
const homes = new Map<number, BackendName>()

/** The backend of a call, which is about a model if that is given. */
export function backendOf(options: BackendOptions = {}, modelId?: number): Backend {
  return processOf(options, modelId) ?? native
}

/** The process backend, where a call is to run in it. */
export function processOf(options: BackendOptions, modelId?: number): ProcessBackend | undefined {
  const name = options.backend ?? (modelId === undefined ? undefined : homes.get(modelId)) ?? defaultBackend()
  if (name === 'addon') return undefined
  if (name !== 'process') {
    throw new RealmError('REALM_INVALID_ARGUMENT', `realm: backend ${String(name)}: want 'addon' or 'process'`)
  }
  try {
    return processBackend(options.hostPath)
  } catch (error) {
    throw toRealmError(error)
  }
}

/** Notes where a model was stored, for calls that do not say, and returns its id. */
export function settle(modelId: number, { backend }: BackendOptions): number {
  if (backend === undefined || backend === defaultBackend()) homes.delete(modelId)
  else homes.set(modelId, backend)
  return modelId
}

/** The backend of a session. */
export const sessionBackend = (session: number): Backend => (isHostSession(session) ? processBackend() : native)

function defaultBackend(): BackendName {
  const named = process.env.REALM_BACKEND
  if (named === undefined || named === '') return files.hasAddon() ? 'addon' : 'process'
  return named as BackendName
}
