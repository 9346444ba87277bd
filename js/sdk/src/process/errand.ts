import { type ChildProcess, spawn } from 'node:child_process'
import files from '../../native/files.cjs'
import { RealmError, toRealmError } from '../errors.js'
import type { OperationCallback } from '../native.js'
import type { Operations } from '../operation.js'
import { encode, Frames, kinds } from './frames.js'

/** One operation in a host process that lives no longer: what the addon leaves to it, since it has no HTTP client. */
export class Errand implements Operations {
  #child: ChildProcess | undefined

  start(name: string, callback: OperationCallback, ...args: unknown[]): number {
    let over = false
    const end = (error: unknown, value?: unknown) => {
      if (over) return
      over = true
      child.stdin?.end()
      callback(error, value, true)
    }
    let program: string
    try {
      program = files.command()
    } catch (error) {
      throw toRealmError(error)
    }
    const child = spawn(program, ['host'], { stdio: ['pipe', 'pipe', 'ignore'], windowsHide: true })
    this.#child = child
    const frames = new Frames(({ kind, head }) => {
      if (over) return
      if (kind === kinds.chunk) callback(undefined, JSON.parse(head), false)
      else if (kind === kinds.result) end(undefined, JSON.parse(head))
      else if (kind === kinds.error) end(JSON.parse(head))
    })
    child.once('error', ({ message }) => end(new RealmError('REALM_IO', `realm: ${program} did not start: ${message}`)))
    child.once('close', () => end(new RealmError('REALM_HOST_DIED', `realm: ${program} ended before it was done`)))
    child.stdin?.on('error', () => {}) // its end is what counts
    child.stdout?.on('data', (bytes: Buffer) => frames.add(bytes))
    this.#write(encode(kinds.call, 1, JSON.stringify({ name, args: args.map((arg) => arg ?? null) })))
    return 1
  }

  cancel(): void {
    this.#write(encode(kinds.cancel, 1))
  }

  acknowledge(): void {} // nothing that is counted comes

  #write(pieces: Uint8Array[]): void {
    for (const piece of pieces) this.#child?.stdin?.write(piece)
  }
}
