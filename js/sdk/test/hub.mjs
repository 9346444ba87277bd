// A server with the HTTP API of the Hugging Face hub and one repository, org/repo, for tests of downloads.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

/**
 * Serves files, by their paths. What it returns can be changed at any time: `oid`, what the list says of a file's SHA-256,
 * and `limit`, after how many bytes of an answer nothing more comes.
 */
export async function serveHub(files) {
  const hub = { files, oid: {}, limit: Number.POSITIVE_INFINITY, requests: [], sent: 0, url: '', close }
  const digest = (path) => createHash('sha256').update(files[path]).digest('hex')
  const server = createServer((request, response) => {
    hub.requests.push(request)
    const { pathname } = new URL(request.url, hub.url)
    if (pathname === '/api/models/org/repo/tree/main') {
      const list = Object.entries(files).map(([path, { length }]) => ({
        type: 'file',
        path,
        size: length,
        lfs: { oid: hub.oid[path] ?? digest(path), size: length },
      }))
      return response.end(JSON.stringify(list))
    }
    const path = pathname.replace(/^\/(org\/repo\/resolve\/main\/|files\/)/, '')
    if (!(path in files)) return response.writeHead(404).end()
    const bytes = files[path]
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, {
      etag: `"${digest(path)}"`,
      'accept-ranges': 'bytes',
      'content-length': bytes.length - from,
      ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    })
    const part = bytes.subarray(from, from + hub.limit)
    hub.sent += part.length
    response.write(part)
    if (from + part.length === bytes.length) response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  hub.url = `http://127.0.0.1:${server.address().port}`
  function close() {
    server.close()
    server.closeAllConnections()
  }
  return hub
}
