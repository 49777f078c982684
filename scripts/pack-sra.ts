/**
 * `npm run sra:pack -- FOLDER [TYPE]`: puts the adapter together as one folder that can be dropped into an SRM installation. Everything it
 * runs is below the folder, as the interface asks; only Perl and Node.js come from outside (Node.js may be put into FOLDER/node).
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ensureBuilt } from './build.ts'
import { root } from './outputs.ts'

/** Native code stays a package of its own (scripts/build.ts): that one, and all it needs. */
const withDependencies = (name: string, known = new Set<string>()): ReadonlySet<string> => {
  if (known.has(name)) return known
  known.add(name)
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { readonly dependencies?: Readonly<Record<string, string>> }
  for (const needed of Object.keys(dependencies)) withDependencies(needed, known)
  return known
}

const packSra = async (folder: string, arrayType: string | undefined): Promise<void> => {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty: name a new folder`)
  await ensureBuilt()
  mkdirSync(folder, { recursive: true })
  for (const name of ['command.pl', 'adapter.json']) cpSync(join(root, 'packaging', 'sra', name), join(folder, name))
  if (arrayType !== undefined) {
    const path = join(folder, 'adapter.json')
    writeFileSync(path, `${JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), array_type: arrayType }, undefined, 2)}\n`)
  }
  for (const name of ['sra', 'launch.js', 'package.json']) cpSync(join(root, 'bin', name), join(folder, 'bin', name))
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true, filter: (path) => !/[\\/]dist[\\/](?:types|lib|meta\.json)/.test(path) })
  for (const name of withDependencies('fs-native-extensions')) cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true, dereference: true })
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  console.log(`The adapter is in ${folder}; say which arrays it is for in adapter.json`)
}

const [folder, arrayType] = process.argv.slice(2)
if (folder === undefined) throw new Error('Name the folder to make: npm run sra:pack -- FOLDER [TYPE]')
await packSra(resolve(folder), arrayType)
