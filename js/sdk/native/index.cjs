'use strict'

// What `index.node` exports, by names that ES modules can import.
const { storeModel, getTensor, getModelInfo, removeModel } = require('./load.cjs')

module.exports = { storeModel, getTensor, getModelInfo, removeModel }
