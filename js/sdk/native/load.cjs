'use strict'

// The one place that finds the addon, for ES modules and CommonJS alike.
try {
  module.exports = require('./index.node')
} catch (error) {
  const platform = `${process.platform}-${process.arch}`
  throw new Error(
    `realm: the native addon did not load on ${platform}, Node ${process.version}: ${error.message}\n` +
      'Built from a checkout, `make node` makes it.',
    { cause: error },
  )
}
