import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { executables } from '../../scripts/entries.ts'

const dist = join(import.meta.dirname, '../../dist')
const meta = JSON.parse(readFileSync(join(dist, 'meta.json'), 'utf8')) as Metafile

/** Files that are loaded as soon as this one is; what stands behind an import() comes later, if at all. */
const startPath = (output: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(output)) return seen
  seen.add(output)
  for (const { path, kind } of meta.outputs[output]?.imports ?? []) if (kind === 'import-statement' && path in meta.outputs) startPath(path, seen)
  return seen
}

const outputOf = (name: string): string => Object.keys(meta.outputs).find((path) => path.endsWith(`/${name}.js`)) ?? ''

describe.each(Object.entries(executables))('the built %s', (name, { banned = [] }) => {
  it('exists', () => {
    expect(existsSync(join(dist, `${name}.js`))).toBe(true)
  })

  it('keeps slow packages off its start path', () => {
    const inputs = [...startPath(outputOf(name))].flatMap((output) => Object.keys(meta.outputs[output]?.inputs ?? {}))
    expect(inputs.length).toBeGreaterThan(0)
    const found = banned.filter((name) => inputs.some((input) => input.includes(`node_modules/${name}/`)))
    expect(found).toEqual([])
  })
})

describe.each(['smctl', 'xe', 'smd'])('the pack of %s', (name) => {
  it('is compiled from the code cache, and holds the program', () => {
    const script = `const launch = require('./bin/launch.js'); process.argv = ['', 'x', '--version']; launch.open(${JSON.stringify(name)}); console.log(launch.scripts.get(${JSON.stringify(name)}).cachedDataRejected, launch.functions.has(${JSON.stringify(`${name}.js`)}))`
    expect(spawnSync(process.execPath, ['-e', script], { cwd: join(dist, '..'), encoding: 'utf8' }).stdout).toBe('false true\n')
  })
})

it('an executable that was not built says what to do', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'storage-manager-unbuilt-'))
  try {
    cpSync(join(dist, '..', 'bin'), join(scratch, 'bin'), { recursive: true })
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(scratch, 'bin', 'smctl'), 'sr', 'list'], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 5, stdout: '' })
    expect(stderr).toBe(`storage-manager: it is not built yet: run npm run build in ${scratch}\n`)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})
