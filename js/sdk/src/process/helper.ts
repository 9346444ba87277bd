// What runs in the thread that talks to the host process, for one thread that uses the package: it starts the process or
// connects to it, and carries frames. That thread may be waiting meanwhile, in a synchronous call.
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { BroadcastChannel, workerData } from 'node:worker_threads'
import type { ErrorCode } from '../errors.js'
import { encode, type Frame, Frames, kinds, version } from './frames.js'
import type { Answered, Asked, HelperData } from './messages.js'

const { settings, port, signal } = workerData as HelperData
const cell = new Int32Array(signal)

type Call = Extract<Asked, { what: 'call' }>

/** Says something to the thread that this one helps, and wakes it where it waits. */
function say(answered: Answered, body?: ArrayBuffer): void {
  if (body === undefined || body.byteLength === 0) port.postMessage(answered)
  else port.postMessage({ ...answered, body }, [body])
  Atomics.add(cell, 0, 1)
  Atomics.notify(cell, 0)
}

function fail(id: number, code: ErrorCode, message: string): void {
  say({ id, kind: 'error', head: JSON.stringify({ code, message }), host: hosts })
}

/** The number of the host that is there, or comes next. */
let hosts = 1

/** The models that are stored by their paths, which a new host is given again. */
const stored = new Map<number, { path: string; references: number }>()

/** The connection, from the moment that it is wanted to its end. */
let link: Link | undefined

/** A connection to a host: calls wait until it has said hello, and knows the models. */
class Link {
  #write: Writable | undefined
  #calls = new Map<number, Call>() // in progress
  #waiting: Asked[] | undefined = [] // undefined when there is no need to wait
  #restoring = 0 // calls of its own that are in progress

  ask(asked: Asked): void {
    if (asked.what === 'call') this.#calls.set(asked.id, asked)
    else if (!this.#calls.has(asked.id)) return
    if (this.#waiting !== undefined) this.#waiting.push(asked)
    else this.#send(asked)
  }

  /** Takes the streams of a host. */
  open(read: Readable, write: Writable): void {
    this.#write = write
    const frames = new Frames((frame) => this.#take(frame))
    read.on('data', (bytes: Buffer) => frames.add(bytes))
    read.on('error', () => {}) // its end is what counts
    write.on('error', () => {})
  }

  /** Ends the connection: what is in progress fails. */
  end(code: ErrorCode, message: string): void {
    if (link !== this) return
    link = undefined
    hosts++
    say({ id: 0, kind: 'chunk', head: 'null', host: hosts }) // of no call, for its number
    const calls = this.#calls
    this.#calls = new Map()
    for (const id of calls.keys()) fail(id, code, message)
  }

  #send(asked: Asked): void {
    const { id } = asked
    if (asked.what === 'call') {
      if (asked.host !== 0 && asked.host !== hosts) {
        this.#calls.delete(id)
        fail(id, 'REALM_HOST_DIED', 'realm: the host process that it was in has died')
      } else {
        this.#put(encode(kinds.call, id, asked.head, asked.body))
      }
    } else if (asked.what === 'acknowledge') {
      this.#put(encode(kinds.acknowledge, id, String(asked.chunks)))
    } else {
      this.#put(encode(kinds.cancel, id))
    }
  }

  #put(pieces: Uint8Array[]): void {
    this.#write?.cork()
    for (const piece of pieces) this.#write?.write(piece)
    this.#write?.uncork()
  }

  #take({ kind, id, head, body }: Frame): void {
    const call = this.#calls.get(id)
    if (kind === kinds.hello) {
      this.#hello(head)
    } else if (id >= ownIds) {
      if (id !== listenId && --this.#restoring === 0) this.#begin()
    } else if (kind === kinds.chunk && call !== undefined) {
      say({ id, kind: 'chunk', head, host: hosts })
    } else if (call !== undefined) {
      this.#calls.delete(id)
      if (kind === kinds.result) remember(call, head)
      say({ id, kind: kind === kinds.result ? 'result' : 'error', head, host: hosts }, body)
    }
  }

  #hello(head: string): void {
    const { version: theirs } = JSON.parse(head) as { version: number }
    if (theirs !== version) {
      const which = `${settings.program} speaks version ${theirs}, and this package ${version}`
      this.end('REALM_UNSUPPORTED', `realm: the host process is of another version: ${which}`)
      this.#write?.end()
      return
    }
    const paths = [...stored.values()].flatMap(({ path, references }) => Array<string>(references).fill(path))
    this.#restoring = paths.length
    for (const [i, path] of paths.entries()) this.#call(ownIds + i, 'storeModel', path)
    if (paths.length === 0) this.#begin()
  }

  /** A call of this file's own. */
  #call(id: number, name: string, ...args: unknown[]): void {
    this.#put(encode(kinds.call, id, JSON.stringify({ name, args })))
  }

  #begin(): void {
    if (!settings.connect && settings.socket !== '') this.#call(listenId, 'listen', settings.socket)
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const asked of waiting) if (this.#calls.has(asked.id)) this.#send(asked)
  }
}

/** Numbers from here on are of calls of this file's own, of which the last number is that of listen. */
const ownIds = 2 ** 31
const listenId = 2 ** 32 - 1

function remember({ stores, removes }: Call, head: string): void {
  if (stores !== undefined) {
    const result = JSON.parse(head) as number | { id: number; path: string }
    const { id, path } = typeof result === 'number' ? { id: result, path: stores } : result
    const model = stored.get(id) ?? { path, references: 0 }
    model.references++
    stored.set(id, model)
  }
  const model = removes === undefined ? undefined : stored.get(removes)
  if (model !== undefined && --model.references === 0) stored.delete(removes as number)
}

/** The first and the last of what a process says, which is where errors of Go say what is wrong. */
class Tail {
  #first = ''
  #last = ''

  add(text: string): void {
    const room = 1000 - this.#first.length
    this.#first += text.slice(0, room)
    this.#last = (this.#last + text.slice(room)).slice(-1000)
  }

  toString(): string {
    return (this.#first + (this.#last === '' ? '' : `\n...\n${this.#last}`)).trim()
  }
}

/** Starts the host process, which this thread owns: it ends when its standard input does. */
function start(): Link {
  const opened = new Link()
  const said = new Tail()
  let child: ChildProcess
  try {
    child = spawn(settings.program, ['host'], { stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true })
  } catch (error) {
    queueMicrotask(() => opened.end('REALM_IO', cannotStart(error as Error)))
    return opened
  }
  const { stdin, stdout, stderr } = child
  child.once('error', (error: NodeJS.ErrnoException) => {
    opened.end(error.code === 'ENOENT' ? 'REALM_NOT_FOUND' : 'REALM_IO', cannotStart(error))
  })
  if (stdin === null || stdout === null || stderr === null) return opened
  opened.open(stdout, stdin)
  stderr.setEncoding('utf8').on('data', (text: string) => said.add(text))
  child.once('close', (code, by) => {
    if (settings.socket !== '') rmSync(dirname(settings.socket), { recursive: true, force: true })
    const how = by === null ? `with status ${code}` : `by ${by}`
    const why = String(said)
    opened.end('REALM_HOST_DIED', `realm: the host process ended ${how}${why === '' ? '' : `: ${why}`}`)
  })
  return opened
}

const cannotStart = (error: Error) =>
  `realm: the host process did not start: ${error.message}. It is the program realm: hostPath or REALM_HOST names it`

/** How long another thread may take to start the host, in milliseconds, and how often it is looked for. */
const patience = 20_000
const interval = 25

/** Connects to the host of a thread that this one comes from. */
function reach(): Link {
  const opened = new Link()
  const until = performance.now() + patience
  const attempt = () => {
    const socket: Socket = connect(settings.socket)
    let there = false
    socket.once('connect', () => {
      there = true
      opened.open(socket, socket)
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      if (there) {
        opened.end('REALM_HOST_DIED', 'realm: the host process ended')
      } else if (performance.now() > until) {
        opened.end('REALM_IO', `realm: no host process at ${settings.socket}`)
      } else {
        channel?.postMessage('start')
        setTimeout(attempt, interval)
      }
    })
  }
  attempt()
  return opened
}

const channel = settings.socket === '' ? undefined : new BroadcastChannel(settings.socket)
if (channel !== undefined && !settings.connect) {
  channel.onmessage = () => {
    link ??= start()
  }
}

port.on('message', (asked: Asked) => {
  if (asked.what === 'call') link ??= settings.connect ? reach() : start()
  link?.ask(asked)
})

// Who waits for an answer must get one, whatever goes wrong here.
process.on('uncaughtException', (error) => {
  link?.end('REALM_INTERNAL', `realm: the thread that talks to the host process: ${error.stack}`)
})
