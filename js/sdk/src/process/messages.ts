import type { MessagePort } from 'node:worker_threads'

/** Where the thread that talks to the host finds it. */
export interface HostSettings {
  /** The program, to be started with the argument `host`. */
  program: string
  /**
   * The socket by which other threads reach the same host; empty where there is none. It names the host too: threads that
   * want it started say so on a BroadcastChannel of this name.
   */
  socket: string
  /** This thread does not own the host: it connects to the socket. */
  connect: boolean
}

/** What the helper thread is started with. */
export interface HelperData {
  settings: HostSettings
  port: MessagePort
  /** An Int32Array of one that is incremented after each message. */
  signal: SharedArrayBuffer
}

/** What a thread asks its helper for. */
export type Asked =
  | {
      what: 'call'
      id: number
      head: string
      body: Uint8Array[]
      /** The host that the call is for, by its number; 0 for any. */
      host: number
      /** What to remember of a success: a model that was stored, by its path, or one that was removed. */
      stores?: string
      removes?: number
    }
  | { what: 'acknowledge'; id: number; chunks: number }
  | { what: 'cancel'; id: number }

/** What the helper says of a call: a chunk, or at last a result or an error. Heads are JSON. */
export interface Answered {
  id: number
  kind: 'chunk' | 'result' | 'error'
  head: string
  /** Missing where it is empty. */
  body?: ArrayBuffer
  /** The host's number: it counts from 1, and goes up when a host ends. */
  host: number
}
