/** Which code is loaded as a driver, and which never is. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { loadExternalDriver } from '../../cli/external-drivers.ts'

const scratch = mkdtempSync(join(tmpdir(), 'sm-external-'))
const state = join(scratch, 'state')
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** As little as counts as one. */
const code = `export default {
  type: 'outside', executable: 'Outside', title: 't', summary: 's', contract: 1, features: [], srOperations: [], contentType: 'aio', tools: [], example: {},
  limits: { shared: false, minVdiSize: 1, maxVdiSize: 2, sizeStep: 1 }, defaultVdiVisibility: true, dconf: { shape: {} }, open: async () => undefined,
}`

const write = (folder: string, text: string, more: object = {}): string => {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  writeFileSync(join(folder, 'driver.js'), text, { mode: 0o644 })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'x', type: 'module', exports: './driver.js', ...more }))
  return folder
}

it('loads a folder by its full path', async () => {
  await expect(loadExternalDriver(write(join(scratch, 'folder'), code), state)).resolves.toMatchObject({ type: 'outside' })
})

it.each(['outside-driver', '@some/outside-driver'])('loads the package %s from the state directory', async (name) => {
  write(join(state, 'node_modules', name), code)
  await expect(loadExternalDriver(name, state)).resolves.toMatchObject({ type: 'outside' })
})

it('never loads a package from the working directory', async () => {
  const before = process.cwd()
  write(join(scratch, 'work', 'node_modules', 'planted'), 'globalThis.wasPlanted = true')
  process.chdir(join(scratch, 'work'))
  try {
    await expect(loadExternalDriver('planted', state)).rejects.toMatchObject({ kind: 'notFound', facts: { remedy: `npm install --prefix ${state} planted, or install it beside storage-manager` } })
  } finally {
    process.chdir(before)
  }
  expect(globalThis).not.toHaveProperty('wasPlanted')
})

it.each([['a folder', (path: string) => path], ['a package', () => 'open-to-all']])('refuses %s that others can change, and says how to close it', async (_, source) => {
  const folder = write(join(state, 'node_modules', 'open-to-all'), 'globalThis.wasPlanted = true')
  chmodSync(join(folder, 'driver.js'), 0o666)
  await expect(loadExternalDriver(source(folder), state)).rejects.toMatchObject({ kind: 'permissionDenied', facts: { remedy: `chown root ${join(folder, 'driver.js')}; chmod go-w ${join(folder, 'driver.js')}` } })
  expect(globalThis).not.toHaveProperty('wasPlanted')
})

it.each([
  ['a relative path', 'some/folder/', 'invalidArgument', /neither an absolute folder/],
  ['a folder that is empty', scratch, 'notFound', /There is no driver.js/],
  ['a package that is not there', 'no-such-package-anywhere', 'notFound', /There is no npm package/],
] as const)('refuses %s', async (_, source, kind, message) => {
  await expect(loadExternalDriver(source, state)).rejects.toMatchObject({ kind, message: expect.stringMatching(message) as unknown })
})

it.each([
  ['throws while it is loaded', 'throw new Error("not today")', /cannot be loaded: not today/],
  ['exports no driver', 'export default 5', /is no driver/],
  ['was written for another contract', code.replace('contract: 1', 'contract: 99'), /written for contract 99/],
  ['declares what it has not', code.replace('srOperations: []', "srOperations: ['create']"), /lacks prepare/],
])('refuses code that %s', async (what, text, message) => {
  await expect(loadExternalDriver(write(join(scratch, what.replaceAll(' ', '-')), text), state)).rejects.toMatchObject({ kind: 'invalidArgument', message: expect.stringMatching(message) as unknown })
})
