/**
 * What authors of drivers get: the package as npm packs and installs it, in an empty project and without a network; a driver made
 * by `smctl driver new`, its types, its tests, its build; and that driver loaded from its folder and as a package.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'sm-package-'))
const project = join(scratch, 'project')
const driver = join(project, 'mystore')
const state = join(scratch, 'state')
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const run = (cwd: string, tool: string, ...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => {
  const { CI: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(tool, args, { cwd, encoding: 'utf8', env: { ...env, STORAGE_MANAGER_STATE: state, NO_COLOR: '1' } })
  return { status, stdout, stderr }
}

const succeeds = (cwd: string, tool: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = run(cwd, tool, ...args)
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')} ended with ${status}:\n${stdout.slice(-3000)}\n${stderr.slice(-3000)}`)
  return stdout
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
}

/** What npm would fetch, from what it has fetched for this repository: name by name, where they are hoisted to. */
const copyDependencies = (names: readonly string[], to: string, seen = new Set<string>()): void => {
  for (const name of names) {
    const from = join(root, 'node_modules', name)
    if (seen.has(name) || !existsSync(from)) continue
    seen.add(name)
    cpSync(from, join(to, name), { recursive: true, dereference: true })
    copyDependencies(Object.keys((JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as Manifest).dependencies ?? {}), to, seen)
  }
}

beforeAll(() => {
  mkdirSync(state, { mode: 0o700 })
  mkdirSync(project, { mode: 0o755 })
  const [packed = { filename: '' }] = JSON.parse(succeeds(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', scratch)) as readonly { readonly filename: string }[]
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "version": "1.0.0", "private": true }')
  copyDependencies(Object.keys((JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest).dependencies ?? {}), join(project, 'node_modules'))
  succeeds(project, 'npm', 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional', '--omit=peer', join(scratch, packed.filename))
  const installed = join(project, 'node_modules', 'storage-manager')
  // A build for tests alone makes no declarations.
  if (!existsSync(join(installed, 'dist', 'types'))) succeeds(root, process.execPath, join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.types.json', '--outDir', join(installed, 'dist', 'types'))
  succeeds(project, join(project, 'node_modules', '.bin', 'smctl'), 'driver', 'new', 'mystore')
  // The tools that the new folder names in its devDependencies.
  mkdirSync(join(project, 'node_modules', '@types'), { recursive: true })
  mkdirSync(join(project, 'node_modules', '.bin'), { recursive: true })
  for (const name of ['vitest', 'esbuild', 'typescript', '@types/node']) symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  for (const [name, at] of [['vitest', 'vitest/vitest.mjs'], ['esbuild', 'esbuild/bin/esbuild'], ['tsc', 'typescript/bin/tsc']] as const) symlinkSync(join(root, 'node_modules', at), join(project, 'node_modules', '.bin', name))
}, 300_000)

const smctl = (...args: readonly string[]): string => succeeds(project, join(project, 'node_modules', '.bin', 'smctl'), ...args)

describe('the installed package', () => {
  it('runs its commands, and holds nothing but what they need', () => {
    expect(smctl('driver', 'list', '-q').split('\n')).toContain('file')
    expect(readdirSync(join(project, 'node_modules', 'storage-manager')).sort()).toEqual(['LICENSE', 'README.md', 'bin', 'dist', 'package.json', 'packaging'])
  })

  it('offers its client and its errors to programs', () => {
    writeFileSync(join(project, 'caller.mjs'), "import { connectUnix, createHttpClient, StorageError } from 'storage-manager'\nconsole.log(typeof connectUnix, typeof createHttpClient, new StorageError('busy', 'x') instanceof Error)")
    expect(succeeds(project, process.execPath, 'caller.mjs')).toBe('function function true\n')
  })
})

describe('a driver made by smctl driver new', () => {
  it('is not made of a type that exists, nor in a folder that holds something', () => {
    for (const [args, status, says] of [[['file'], 17, 'There is an SR type file already'], [['../x'], 22, 'lower-case letters'], [['other', 'mystore'], 17, 'is not empty']] as const) {
      const ended = run(project, join(project, 'node_modules', '.bin', 'smctl'), 'driver', 'new', ...args)
      expect(ended).toMatchObject({ status, stdout: '', stderr: expect.stringContaining(says) as unknown })
    }
    expect(readdirSync(project).sort()).toEqual(expect.not.arrayContaining(['file', 'other']) as unknown)
  })

  it('compiles against the declarations of the package', () => {
    expect(run(driver, 'npm', 'run', '-s', 'types')).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  it('passes the suite under vitest, and survives crashes (of one call: test/crash has them all)', () => {
    expect(succeeds(driver, 'npm', 'test', '--', 'conformance')).toMatch(/Test Files +1 passed \(1\)\n +Tests +[1-9]\d+ passed/)
    expect(succeeds(driver, 'npm', 'test', '--', 'crash', '-t', 'naming a VDI')).toMatch(/Test Files +1 passed \(1\)\n +Tests +[1-9]\d* passed/)
  })

  it('passes the suite without a test framework, once it is built', () => {
    succeeds(driver, 'npm', 'run', '-s', 'build')
    writeFileSync(join(driver, 'suite.mjs'), `import driver from './driver.js'
import { createVolume, modelHarness, runCases, summarize } from 'storage-manager/testing'
const harness = modelHarness({ driver, deviceConfig: { location: '/srv/disks' }, directories: ['/srv/disks'], setUp: (machine) => void machine.first.space.mounts.set('/srv/disks', createVolume(2 ** 30)), atBoot: ['/srv/disks'] })
console.log(summarize(await runCases(harness)))
`)
    expect(succeeds(driver, process.execPath, 'suite.mjs')).toMatch(/^[1-9]\d+ passed, 0 failed, \d+ skipped \(/)
  })

  it.each([
    ['from its folder', () => driver],
    ['as a package beside storage-manager', () => {
      cpSync(driver, join(project, 'node_modules', 'storage-manager-mystore'), { recursive: true })
      return 'storage-manager-mystore'
    }],
  ])('is loaded %s, and keeps disks', (_, source) => {
    writeFileSync(join(state, 'config.json'), JSON.stringify({ drivers: [source()] }), { mode: 0o600 })
    const place = mkdtempSync(join(scratch, 'place-'))
    const sr = smctl('sr', 'create', 'mystore', `location=${place}`, '-q').trim()
    smctl('sr', 'attach', sr)
    const vdi = smctl('vdi', 'create', sr, '1M', '-q').trim()
    expect(smctl('sr', 'scan', sr, '-q').trim()).toBe(vdi)
    expect(readdirSync(place)).toContain(`${vdi}.raw`)
    smctl('vdi', 'delete', sr, vdi)
    smctl('sr', 'detach', sr)
    smctl('sr', 'delete', sr)
    expect(readdirSync(place)).toEqual([])
  })
})
