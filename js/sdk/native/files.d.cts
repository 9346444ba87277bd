declare const files: {
  /** The guest that ships with the package. */
  guest: string
  /** What runs in the thread of a sandbox. */
  thread: string
}
export = files
