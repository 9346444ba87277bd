// The host processes of a process, for tests on Linux.
import { readdirSync, readFileSync } from 'node:fs'

/** The processes that `parent` started, with their states, such as Z for one that has ended and was not waited for. */
export function children(parent = process.pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [, command, state, ppid] = /^\d+ \((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))
        return Number(ppid) === parent ? [{ pid: Number(name), command, state }] : []
      } catch {
        return [] // it has ended
      }
    })
}

/** The number of this process's host, which is running. */
export const hostPid = () => children().find(({ command, state }) => command === 'realm' && state !== 'Z')?.pid
