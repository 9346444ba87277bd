declare const files: {
  /** The guest that ships with the package. */
  guest: string
  /** What runs in the thread of a sandbox. */
  thread: string
  /** What runs in the thread that talks to the host process. */
  helper: string
  /** Loads the addon, or throws an error that says why not. */
  addon(): unknown
  /** Whether this platform has an addon. Loading it may fail all the same. */
  hasAddon(): boolean
  /** Finds the command line, whose `host` is the backend in a process of its own, or throws an error with a code. */
  command(): string
}
export = files
