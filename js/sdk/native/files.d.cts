declare const files: {
  /** The guest that ships with the package. */
  guest: string
  /** What runs in the thread of a sandbox. */
  thread: string
  /** Finds the command line, whose `host` is the backend in a process of its own, or throws an error with a code. */
  command(): string
  /** Whether this platform has an addon. Loading it may fail all the same. */
  hasAddon(): boolean
}
export = files
