import type { ErrorCode as HostErrorCode } from './abi.js'

/** Why a call failed. `REALM_HOST_DIED`: the host process did, in which it ran; the next call starts another. */
export type ErrorCode = HostErrorCode | 'REALM_HOST_DIED'

/** The one error that this package throws and rejects with. */
export class RealmError extends Error {
  override readonly name = 'RealmError'
  /** What kind of failure it is; `message` says where and what. */
  readonly code: ErrorCode
  /** The stack on the Go side, where the addon itself failed: `REALM_INTERNAL`. */
  declare readonly goStack?: string

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { goStack?: string }) {
    super(message, options)
    this.code = code
    if (options?.goStack !== undefined) Object.assign(this, { goStack: options.goStack })
  }
}

/** Turns an error of the addon into a RealmError whose stack is the caller's. */
export function toRealmError(error: unknown): RealmError {
  if (error instanceof RealmError) return error
  const { code, message, goStack } = error as { code?: string; message?: string; goStack?: string }
  const known = typeof code === 'string' && code.startsWith('REALM_') ? (code as ErrorCode) : 'REALM_INTERNAL'
  return new RealmError(known, message ?? String(error), goStack === undefined ? undefined : { goStack })
}

/** The error of an operation that its AbortSignal ended. `cause` is the signal's reason. */
export function aborted(signal: AbortSignal): RealmError {
  return new RealmError('REALM_CANCELED', 'realm: the operation was aborted', { cause: signal.reason })
}
