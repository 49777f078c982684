/** sim-arrays as a person uses it: started in one terminal, used from another. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { ask, scratch } from '../drivers/array-replication/simulator/plain-client.ts'

const root = join(import.meta.dirname, '..', '..')
const script = join(root, 'scripts', 'sim-arrays.ts')
const directory = scratch()
let running: ChildProcess | undefined

const start = async (): Promise<string> => {
  const child = spawn(process.execPath, ['--import', 'tsx', script, '--state', directory], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  running = child
  let said = ''
  for await (const part of child.stdout as AsyncIterable<Buffer>) {
    said += part.toString()
    if (said.includes('/system\n')) break
  }
  return said
}
const sim = (args: readonly string[], input?: string) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, ...args, '--state', directory], { cwd: root, encoding: 'utf8', input })
  return { status, stdout, stderr }
}

afterEach(async () => {
  if (running !== undefined) {
    running.kill('SIGTERM')
    await once(running, 'exit')
  }
  rmSync(directory, { recursive: true, force: true })
})

it('starts two arrays, writes as a host, cuts the link, and keeps the password out of what it prints', { timeout: 120_000 }, async () => {
  const said = await start()
  const credentials = join(directory, 'credentials.json')
  expect(statSync(credentials).mode & 0o777).toBe(0o600)
  const { arrays: [a] } = JSON.parse(readFileSync(credentials, 'utf8')) as { readonly arrays: readonly { readonly url: string; readonly user: string; readonly password: string; readonly pem: string; readonly fingerprint: string }[] }
  if (a === undefined) throw new Error('no array in the credentials file')
  expect(said).toContain(a.fingerprint)
  expect(said).toContain(a.url)
  expect(said).not.toContain(a.password)

  const where = { url: a.url, certificate: a }
  const { body: { key } } = await ask(where, 'POST', '/credentials', { body: { user: a.user, password: a.password } })
  const post = (path: string, body: object) => ask(where, 'POST', path, { key: String(key), body })
  await post('/volumes', { name: 'one', cpg: 'SSD_r6', sizeMiB: 256, tpvv: true })
  await post('/hosts', { name: 'h', iSCSINames: ['iqn.h'] })
  await post('/vluns', { volumeName: 'one', lun: 1, hostname: 'h' })
  const { body: { wwn } } = await ask(where, 'GET', '/volumes/one', { key: String(key) })

  const place = ['--array', 'array-a', '--host', 'h', '--wwn', String(wwn), '--offset', '4096']
  expect(sim(['io', 'write', ...place], 'hello')).toMatchObject({ status: 0, stderr: '' })
  expect(sim(['io', 'read', ...place, '--length', '5'])).toEqual({ status: 0, stdout: 'hello', stderr: '' })
  expect(sim(['link', 'cut'])).toMatchObject({ status: 0 })
  expect((await ask(where, 'GET', '/remotecopylinks', { key: String(key) })).body).toMatchObject({ members: [{ status: 2 }] })
  const wrong = sim(['io', 'read', '--array', 'none', ...place.slice(2), '--length', '5'])
  expect(wrong).toMatchObject({ status: 19, stdout: '' })
  expect(wrong.stderr).toContain('array-a, array-b')
  expect(sim(['fault', '--array', 'array-a', '--match', '*', '--effect', 'explode'])).toMatchObject({ status: 22 })
  expect(sim(['fly'])).toMatchObject({ status: 22 })
})
