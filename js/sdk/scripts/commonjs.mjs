// Run in a package's folder, which is of type module; what stands below cjs is not.
import { writeFileSync } from 'node:fs'

writeFileSync('cjs/package.json', '{ "type": "commonjs" }\n')
