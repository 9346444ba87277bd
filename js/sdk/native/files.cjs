'use strict'

const { join } = require('node:path')
const { find, hasAddon } = require('./find.cjs')

// Files that are found from here, for ES modules and CommonJS alike.
module.exports = {
  guest: join(__dirname, 'guest.wasm'),
  thread: join(__dirname, '..', 'cjs', 'thread.js'),
  command: () => find('command'),
  hasAddon,
}
