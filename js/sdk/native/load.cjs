'use strict'

const { find, host } = require('./find.cjs')

// The one place that loads the addon, for ES modules and CommonJS alike.
const file = find('addon')
try {
  module.exports = require(file)
} catch (error) {
  throw Object.assign(
    new Error(
      `realm: the addon ${file} did not load (${host().text}): ${error.message}\n` +
        'Try: npm install --include=optional @realm-ai/sdk, on this machine. In a checkout, `make node` builds it.',
      { cause: error },
    ),
    { code: 'REALM_IO' },
  )
}
