// Small guests for tests, assembled here: https://webassembly.github.io/spec/core/binary/
const u32 = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...u32(n >>> 7)])
const s32 = (n) => (n >= -64 && n < 64 ? [n & 127] : [(n & 127) | 128, ...s32(n >> 7)])
const name = (text) => [...u32(Buffer.byteLength(text)), ...Buffer.from(text)]
const vector = (items) => [...u32(items.length), ...items.flat()]
const section = (id, content) => [id, ...u32(content.length), ...content]
const types = (letters) => vector([...letters].map((c) => ({ i: 0x7f, I: 0x7e })[c]))

/** Instructions. */
export const i32 = (n) => [0x41, ...s32(n | 0)]
export const call = (index) => [0x10, ...u32(index)]
export const loop = (...body) => [0x03, 0x40, ...body.flat(), 0x0c, 0, 0x0b] // for ever
export const drop = 0x1a
export const trap = 0x00
export const grow = [0x40, 0]
export const equal = 0x46
export const fill = [0xfc, 0x0b, 0]
export const copy = [0xfc, 0x0a, 0, 0]
/** if (top of the stack) { body } */
export const when = (...body) => [0x04, 0x40, ...body.flat(), 0x0b]

/**
 * A guest whose realm_generate, a function of two parameters that returns an i32, is the code. imports are
 * [module, name, params, result]; the functions of the module follow them, realm_generate as the last.
 */
export function guest({ imports = [], generate = i32(0), version = 1, initialize, pages = 1, table }) {
  const functions = [
    ['realm_abi_version', '', 'i', i32(version)],
    ['realm_alloc', 'i', 'i', i32(1024)],
    ['realm_free', 'i', '', []],
    ...(initialize ? [['_initialize', '', '', initialize]] : []),
    ['realm_generate', 'ii', 'i', generate],
  ]
  const signatures = [...imports.map(([, , p, r]) => [p, r]), ...functions.map(([, p, r]) => [p, r])]
  const exported = functions.map(([f], i) => [...name(f), 0, ...u32(imports.length + i)])
  const code = functions.map(([, , , body]) => [0, ...body.flat(), 0x0b])
  return Uint8Array.from([
    ...Buffer.from('\0asm\x01\0\0\0', 'latin1'),
    ...section(1, vector(signatures.map(([p, r]) => [0x60, ...types(p), ...types(r)]))),
    ...section(2, vector(imports.map(([module, f], i) => [...name(module), ...name(f), 0, ...u32(i)]))),
    ...section(3, vector(functions.map((_, i) => u32(imports.length + i)))),
    ...(table === undefined ? [] : section(4, vector([[0x70, 0, ...u32(table)]]))),
    ...section(5, vector([[0, ...u32(pages)]])),
    ...section(7, vector([[...name('memory'), 2, 0], ...exported])),
    ...section(10, vector(code.map((body) => [...u32(body.length), ...body]))),
  ])
}

/** The number of realm_generate in a module with so many imports. */
export const self = (imports) => imports + 3
