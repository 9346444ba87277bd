// The frames that a host process speaks: internal/hostpipe/frame.go has the layout, and the heads of each kind.

/** The version of the frames, which the host's first one has too. */
export const version = 2

export const kinds = { hello: 0, call: 1, acknowledge: 2, cancel: 3, result: 4, error: 5, chunk: 6 } as const

export interface Frame {
  kind: number
  id: number
  /** JSON. */
  head: string
  body: ArrayBuffer
}

const headerBytes = 20

/** The pieces of a frame, to be written one after the other. */
export function encode(kind: number, id: number, head = '', body: readonly Uint8Array[] = []): Uint8Array[] {
  const text = Buffer.from(head)
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(kind, 0)
  header.writeUInt32LE(id, 4)
  header.writeUInt32LE(text.length, 8)
  header.writeBigUInt64LE(BigInt(body.reduce((sum, { length }) => sum + length, 0)), 12)
  return [Buffer.concat([header, text]), ...body.filter(({ length }) => length > 0)]
}

/** Makes frames of the bytes of a stream. */
export class Frames {
  readonly #onFrame: (frame: Frame) => void
  #target = new Uint8Array(headerBytes) // what is being filled: a header, a head or a body
  #filled = 0
  #part: 'header' | 'head' | 'body' = 'header'
  #frame: Frame = { kind: 0, id: 0, head: '', body: new ArrayBuffer(0) }
  #bodyBytes = 0

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const n = Math.min(bytes.length - at, this.#target.length - this.#filled)
      this.#target.set(bytes.subarray(at, at + n), this.#filled)
      at += n
      this.#filled += n
      while (this.#filled === this.#target.length) this.#next()
    }
  }

  /** Takes a part that is complete, and goes on with the next. */
  #next(): void {
    const done = Buffer.from(this.#target.buffer)
    if (this.#part === 'header') {
      this.#frame = { kind: done.readUInt32LE(0), id: done.readUInt32LE(4), head: '', body: new ArrayBuffer(0) }
      this.#bodyBytes = Number(done.readBigUInt64LE(12))
      this.#fill('head', done.readUInt32LE(8))
    } else if (this.#part === 'head') {
      this.#frame.head = done.toString()
      this.#fill('body', this.#bodyBytes)
    } else {
      this.#frame.body = this.#target.buffer as ArrayBuffer
      this.#fill('header', headerBytes)
      this.#onFrame(this.#frame)
    }
  }

  #fill(part: 'header' | 'head' | 'body', bytes: number): void {
    this.#part = part
    this.#target = new Uint8Array(bytes)
    this.#filled = 0
  }
}
