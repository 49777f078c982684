/**
 * The folder that `smctl driver new` copies, made of what this repository tests itself with: the template driver, its model
 * world and its tests, with imports as an author outside of the repository writes them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root } from './outputs.ts'

const templates = join(root, 'drivers', 'template')

/** Name in the folder -> source. */
const sources: Readonly<Record<string, string>> = {
  ...Object.fromEntries(readdirSync(templates).filter((name) => name.endsWith('.ts')).map((name) => [name, join(templates, name)])),
  'harness.ts': join(root, 'test', 'kit', 'template-harness.ts'),
  'conformance.test.ts': join(root, 'test', 'conformance', 'template.test.ts'),
  'crash.test.ts': join(root, 'test', 'crash', 'template.test.ts'),
}

/** Imports, from the first that fits on: what an author reaches a module by. */
const reachedBy: readonly (readonly [RegExp, string])[] = [
  [/'(?:\.\.\/)+core\/[\w-]+\.ts'/, "'storage-manager/driver'"],
  [/'(?:\.\.\/)+drivers\/template\/([\w-]+\.ts)'/, "'./$1'"],
  [/'\.\.\/kit\/template-harness\.ts'/, "'./harness.ts'"],
  [/'\.\.\/kit\/(?:crash\/)?vitest\.ts'/, "'storage-manager/testing/vitest'"],
  [/'\.\/(?:model\/)?(?:case|machine|volume|world)\.ts'/, "'storage-manager/testing'"],
]

const outside = (line: string): string => {
  if (!line.startsWith('import ')) return line
  const [found, by] = reachedBy.find(([pattern]) => pattern.test(line)) ?? []
  return found === undefined || by === undefined ? line : line.replace(found, by)
}

/** `import { a } from 'x'` and `import type { B } from 'x'`, each module once. */
const merged = (lines: readonly string[]): readonly string[] => {
  const parts = lines.map((line) => /^import (type )?\{ (.+) \} from ('.+')$/.exec(line))
  const names = new Map<string, string[]>()
  for (const part of parts) {
    if (part === null) continue
    const [, type = '', list = '', from = ''] = part
    names.set(from, [...(names.get(from) ?? []), ...list.split(', ').map((name) => (name.startsWith('type ') ? name : `${type}${name}`))])
  }
  return lines.flatMap((line, at) => {
    const from = parts[at]?.[3]
    if (from === undefined) return [line]
    const list = names.get(from)
    names.delete(from)
    if (list === undefined) return []
    const types = list.every((name) => name.startsWith('type '))
    return [`import ${types ? 'type ' : ''}{ ${list.map((name) => (types ? name.slice(5) : name)).join(', ')} } from ${from}`]
  })
}

const { version, dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly dependencies: { readonly zod: string }
  readonly devDependencies: Readonly<Record<string, string>>
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

/** `template` and `Template` in all of these become the type of the new driver (cli/new-driver.ts). */
const written: Readonly<Record<string, string>> = {
  'package.json': json({
    name: 'storage-manager-template', version: '0.1.0', private: true, type: 'module', exports: './driver.js', files: ['driver.js'],
    scripts: {
      build: 'esbuild driver.ts --bundle --format=esm --platform=node --target=node20 --external:storage-manager --outfile=driver.js',
      types: 'tsc',
      test: 'vitest run',
    },
    dependencies: { zod: dependencies.zod },
    peerDependencies: { 'storage-manager': version },
    devDependencies: Object.fromEntries(['@types/node', 'esbuild', 'typescript', 'vitest'].map((name) => [name, devDependencies[name] ?? ''])),
  }),
  'tsconfig.json': json({
    compilerOptions: {
      target: 'es2023', module: 'nodenext', strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true,
      verbatimModuleSyntax: true, erasableSyntaxOnly: true, allowImportingTsExtensions: true, noEmit: true, skipLibCheck: true, types: ['node'],
    },
    include: ['*.ts'],
  }),
  'vitest.config.ts': `import { defineConfig } from 'vitest/config'

// Crashes at every step of a call are many.
export default defineConfig({ test: { testTimeout: 120_000 } })
`,
  // npm leaves out files of the real name when it packs.
  'gitignore': 'node_modules/\ndriver.js\n',
  'README.md': `# SR type template

A driver of its own for the storage manager: it works as it is, on directories. Change \`dconf\`, \`probe\`, \`prepare\`, \`attach\` and \`open\` in
[driver.ts](driver.ts) to reach your storage, and [place.ts](place.ts) to do something with it; [harness.ts](harness.ts) tells the suite how to
make a fresh place and how to break it.

- \`npm install\`, then \`npm test\`: the conformance suite, and every crash at every step
- \`npm run types\`: a feature that is declared and missing does not compile
- \`npm run build\`: makes driver.js. Name this folder in \`drivers\` of config.json in the state directory: \`{ "drivers": ["/path/to/this/folder"] }\`
`,
}

/** Throws when a source imports what authors cannot reach. */
export const writeTemplate = (folder: string): void => {
  mkdirSync(folder, { recursive: true })
  for (const [name, source] of Object.entries(sources)) {
    const text = merged(readFileSync(source, 'utf8').split('\n').map(outside)).join('\n')
    const foreign = [...text.matchAll(/from '(\.[^']*)'/g)].find(([, path = '']) => !Object.hasOwn(sources, path.slice(2)))
    if (foreign !== null && foreign !== undefined) throw new Error(`${relative(root, source)} imports ${foreign[1] ?? ''}, which authors of drivers cannot`)
    writeFileSync(join(folder, name), text)
  }
  for (const [name, text] of Object.entries(written)) writeFileSync(join(folder, name), text)
}
