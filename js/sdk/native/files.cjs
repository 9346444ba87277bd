'use strict'

const { join } = require('node:path')
const { find, hasAddon } = require('./find.cjs')

// Files that are found from here, for ES modules and CommonJS alike.
module.exports = {
  guest: join(__dirname, 'guest.wasm'),
  thread: join(__dirname, '..', 'cjs', 'thread.js'),
  helper: join(__dirname, '..', 'cjs', 'process', 'helper.js'),
  addon: () => require('./load.cjs'),
  command: () => find('command'),
  hasAddon,
}
