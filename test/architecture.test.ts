/** Who may import whom: the picture of docs/design.md, held against every import of the tree. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Room -> rooms it may import besides itself. Packages (not rooms) are listed where they are limited. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  formats: ['core'],
  host: ['core'],
  stores: ['core', 'formats', 'host'],
  drivers: ['core', 'stores', 'host'],
  rpc: ['core'],
  sra: ['core'],
  cli: ['core', 'formats', 'host', 'stores', 'drivers', 'rpc', 'sra'],
}

const filesOf = (directory: string): readonly string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return filesOf(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })

const importsOf = (file: string): readonly string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '')

const exists = (room: string): boolean => readdirSync(root).includes(room)

describe.each(Object.keys(mayImport).filter(exists))('the room %s', (room) => {
  const files = filesOf(join(root, room)).map((path) => ({ path, name: relative(root, path) }))

  it('imports only the rooms below it', () => {
    const wrong = files.flatMap(({ path, name }) =>
      importsOf(path)
        .filter((target) => target.startsWith('.'))
        .map((target) => relative(root, resolve(dirname(path), target)).split('/')[0] ?? '')
        .filter((target) => target !== room && target !== 'package.json' && !(mayImport[room] ?? []).includes(target))
        .map((target) => `${name} imports ${target}/`))
    expect(wrong).toEqual([])
  })

  if (room === 'core') {
    it('imports no package but zod, and nothing of Node', () => {
      const wrong = files.flatMap(({ path, name }) =>
        importsOf(path).filter((target) => !target.startsWith('.') && target !== 'zod').map((target) => `${name} imports ${target}`))
      expect(wrong).toEqual([])
    })
  }

  if (room === 'drivers') {
    it('keeps families apart: a driver never imports another', () => {
      const family = (name: string): string => name.split('/')[1] ?? ''
      const wrong = files.filter(({ name }) => !name.endsWith('registry.gen.ts')).flatMap(({ path, name }) =>
        importsOf(path)
          .filter((target) => target.startsWith('.'))
          .map((target) => relative(root, resolve(dirname(path), target)))
          .filter((target) => target.startsWith('drivers/') && family(target) !== family(name))
          .map((target) => `${name} imports ${target}`))
      expect(wrong).toEqual([])
    })
  }

  it('starts no process outside host/run.ts', () => {
    const wrong = files.filter(({ path, name }) => name !== 'host/run.ts' && importsOf(path).some((target) => /child_process|^execa$/.test(target))).map(({ name }) => name)
    expect(wrong).toEqual([])
  })
})
