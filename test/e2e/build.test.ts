import { existsSync, readFileSync } from 'node:fs'
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

  it('has a code cache for this version of Node', () => {
    expect(existsSync(join(dist, 'cache', `${process.version}-${process.arch}`))).toBe(true)
  })
})
