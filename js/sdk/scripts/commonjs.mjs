// The package is of type module; what stands below cjs is not.
import { writeFileSync } from 'node:fs'

writeFileSync(new URL('../cjs/package.json', import.meta.url), '{ "type": "commonjs" }\n')
