// What the package uses of WebAssembly's JavaScript API, whose declarations come with those of a browser's DOM otherwise.
// https://webassembly.github.io/spec/js-api/
declare namespace WebAssembly {
  class Module {
    private constructor()
  }
  class Instance {
    constructor(module: Module, imports: Imports)
    readonly exports: Exports
  }
  class Memory {
    readonly buffer: ArrayBuffer
    grow(pages: number): number
  }
  class Global<Value = number | bigint> {
    value: Value
  }
  class CompileError extends Error {}
  type Imports = Record<string, Record<string, (...args: never[]) => unknown>>
  type Exports = Record<string, unknown>
  function compile(bytes: ArrayBuffer): Promise<Module>
}
