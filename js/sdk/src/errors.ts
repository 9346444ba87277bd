/** Why a call failed. Each is documented in the guide to errors, with what to do about it. */
export type ErrorCode =
  | 'REALM_INTERNAL'
  | 'REALM_INVALID_ARGUMENT'
  | 'REALM_NOT_FOUND'
  | 'REALM_INVALID_FORMAT'
  | 'REALM_UNSUPPORTED'
  | 'REALM_LIMIT_EXCEEDED'
  | 'REALM_CONTEXT_LENGTH'
  | 'REALM_CANCELED'
  | 'REALM_DEADLINE_EXCEEDED'
  | 'REALM_CLOSED'
  | 'REALM_OUT_OF_MEMORY'
  | 'REALM_IO'
  | 'REALM_CONFLICT'
  | 'REALM_PERMISSION_DENIED'
  | 'REALM_FUEL_EXHAUSTED'
  | 'REALM_OUTPUT_LIMIT'
  | 'REALM_HOST_CALL_LIMIT'
  | 'REALM_CACHE_LIMIT'
  | 'REALM_STACK_OVERFLOW'
  | 'REALM_GUEST_FAILED'

/** The one error that this package throws and rejects with. */
export class RealmError extends Error {
  override readonly name = 'RealmError'
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
