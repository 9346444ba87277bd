import { type BackendOptions, backendOf, settle } from './backend.js'
import type { Abortable } from './models.js'
import { native } from './native.js'
import { run } from './operation.js'
import { Errand } from './process/errand.js'

/** How far the download of a model is. */
export interface LoadProgress {
  /** Bytes that are on this machine, those of an interrupted download included. */
  bytes: number
  /** Bytes of all files of the model. It is missing where the server has not said. */
  total?: number
  /** Bytes per second over the last seconds; 0 until there is something to measure. */
  speed: number
  /** Seconds until the end at that speed. It is missing while that is not known. */
  secondsLeft?: number
}

/** Options of loadModel. */
export interface LoadOptions extends Abortable, BackendOptions {
  /**
   * Called when a download begins, up to ten times a second while it goes on, and when it is done; never for a model that
   * is on this machine. An error that it throws ends the download and is what loadModel rejects with.
   */
  onProgress?: (progress: LoadProgress) => void
  /** Asks no server: a model that is not on this machine is `REALM_NOT_FOUND`. `REALM_OFFLINE=1` does the same. */
  offline?: boolean
  /** Asks the server for a newer file where there is one on this machine. */
  update?: boolean
}

/**
 * Stores the model of a name, which is downloaded if it is not on this machine, and returns its id, as storeModel does:
 *
 * - `hf:ORG/REPO`: from the Hugging Face hub, in Q4_K_M, else in Q8_0, else the first GGUF file
 * - `hf:ORG/REPO:QUANT`: in that quantization
 * - `hf:ORG/REPO/FILE.gguf`: a certain file
 * - `https://HOST/FILE.gguf`: from any server
 * - `file:PATH`, and every other text: a file on this machine
 *
 * Of a split model, any part names all. Files are kept in the cache folder of `realm pull`, and have their names only when
 * they are all there, have the SHA-256 that the hub says, and parse; an interrupted download goes on where it ended.
 * `HF_TOKEN` is for private repositories, `HF_ENDPOINT` names another hub, `REALM_MIRROR` a mirror, and `REALM_CACHE` the
 * cache folder.
 *
 * Rejects with `REALM_INVALID_ARGUMENT` for what is no name, `REALM_NOT_FOUND` and `REALM_PERMISSION_DENIED` as the server
 * says, `REALM_CONFLICT` for a file that is not what was announced, `REALM_INVALID_FORMAT` for one that is no model,
 * `REALM_DEADLINE_EXCEEDED` where nothing comes any more, `REALM_IO` for the network and the disk, and `REALM_CANCELED`
 * when the signal ended it, which takes moments.
 */
export async function loadModel(uriOrPath: string, options: LoadOptions = {}): Promise<number> {
  const { onProgress, offline, update, signal } = options
  const pace = new Pace()
  const onTold = (value: unknown) => {
    const { bytes, total } = value as { bytes: number; total: number }
    onProgress?.(pace.progress(bytes, total, performance.now()))
  }
  const backend = backendOf(options)
  const asked = [uriOrPath, offline, update]
  if (backend !== native) {
    const { id } = await run<{ id: number }>('loadModel', asked, signal, onTold, backend)
    return settle(id, options)
  }
  // The addon has no HTTP client and knows of no hub: a process of its own finds out what a name stands for.
  const path = isPath(uriOrPath) ? uriOrPath : await run<string>('pullModel', asked, signal, onTold, new Errand())
  return settle(await run<number>('storeModel', [path], signal), options)
}

/** Whether a text is the path of a file, which has no scheme before it. */
function isPath(text: unknown): text is string {
  return typeof text === 'string' && text !== '' && !/^(hf|https?|file):/.test(text)
}

/** Over how many milliseconds speed is measured. */
const window = 3000

/** Pace measures the speed of a download. */
class Pace {
  readonly #samples: { bytes: number; at: number }[] = []

  progress(bytes: number, total: number, at: number): LoadProgress {
    this.#samples.push({ bytes, at })
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > window) this.#samples.shift()
    const oldest = this.#samples[0] ?? { bytes, at }
    const speed = at > oldest.at ? Math.max(0, ((bytes - oldest.bytes) * 1000) / (at - oldest.at)) : 0
    const progress: LoadProgress = { bytes, speed }
    if (total > 0) {
      progress.total = total
      if (bytes >= total) progress.secondsLeft = 0
      else if (speed > 0) progress.secondsLeft = (total - bytes) / speed
    }
    return progress
  }
}
