/** The adapter as Site Recovery Manager runs it: a folder with blanks in its path, command.pl, a request on standard input. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createModelPair } from '../../drivers/array-replication/model/world.ts'
import { readResponse } from '../../sra/response.ts'

const root = join(import.meta.dirname, '..', '..')
const place = mkdtempSync(join(tmpdir(), 'sra e2e '))
const folder = join(place, 'the "adapter"')
const arrays = createModelPair(join(place, 'arrays'))
const secret = 'p&w: "quoted"'

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs'), join(root, 'scripts', 'pack-sra.ts'), folder, 'model'], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
afterAll(() => rmSync(place, { recursive: true, force: true }))

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
let runs = 0
const command = (name: string, more = '', stdin?: string) => {
  const at = join(place, `run ${(runs += 1)}`)
  mkdirSync(at)
  const paths = { output: join(at, 'response.xml'), status: join(at, 'status.xml'), logs: join(at, 'logs') }
  writeFileSync(paths.output, '')
  const xml = `\ufeff<?xml version="1.0" encoding="UTF-8"?>\r\n<Command xmlns="http://www.vmware.com/srm/sra/v2"><Name>${name}</Name>${more}<OutputFile>${escape(paths.output)}</OutputFile>
    <StatusFile>${escape(paths.status)}</StatusFile><LogLevel>trivia</LogLevel><LogDirectory>${escape(paths.logs)}</LogDirectory></Command>`
  const { status, stdout, stderr } = spawnSync(join(folder, 'command.pl'), {
    input: stdin ?? xml, encoding: 'utf8', cwd: '/', env: { PATH: process.env['PATH'], STORAGE_MANAGER_NODE: process.execPath, STORAGE_MANAGER_STATE: join(place, 'state') },
  })
  const read = (path: string): string => { try { return readFileSync(path, 'utf8') } catch { return '' } }
  return { exit: status, stdout, stderr, response: read(paths.output), progress: read(paths.status), log: read(join(paths.logs, 'storage-manager-sra.log')), left: readdirSync(at).sort() }
}
const connection = (directory: string): string =>
  `<Connections><Connection id="array"><Addresses><Address id="address">${escape(directory)}</Address></Addresses><Username>somebody</Username><Password>${escape(secret)}</Password></Connection></Connections>`

describe('command.pl', () => {
  it('says who it is, with progress and a log, and leaves nothing else', async () => {
    const { exit, stdout, stderr, response, progress, log, left } = command('queryInfo')
    expect([exit, stderr, left]).toEqual([0, '', ['logs', 'response.xml', 'status.xml']])
    expect(await readResponse('queryInfo', response)).toMatchObject({ adapterInfo: { uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown } })
    expect(progress.match(/>\d+</g)).toEqual(['>0<', '>100<'])
    expect(log).toBe(stdout)
    expect(log).toMatch(/^\d{4}-[\dT:.-]+Z \[info\] \[[0-9a-f]+\] .*version \S+, built \d{4}-\d\d-\d\d\n/)
    expect(log).toMatch(/Commence: command queryInfo\n.*Complete: command queryInfo\n/)
  })

  it('reaches an array, and tells no secret to anybody', async () => {
    const found = command('discoverArrays', connection(arrays.a))
    expect(found.exit).toBe(0)
    expect(await readResponse('discoverArrays', found.response)).toMatchObject({ arrays: [{ id: 'model-a', peerArrays: [{ id: 'model-b' }] }] })
    const missing = command('discoverArrays', connection(join(place, 'nowhere')))
    expect([missing.exit, missing.response.includes('<Error code="1018"')]).toEqual([0, true])
    for (const { stdout, response, log } of [found, missing]) for (const text of [stdout, response, log]) expect(text.includes('p&') || text.includes(escape(secret)) || text.includes('somebody')).toBe(false)
  })

  it('answers what it does not know with an error, and what is no request with words and an exit status', () => {
    const unknown = command('__proto__')
    expect([unknown.exit, unknown.response.includes('<Error code="100"')]).toEqual([0, true])
    for (const junk of ['', 'secret junk', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', '<Command xmlns="http://www.vmware.com/srm/sra/v2"><Name>queryInfo</Name></Command>']) {
      const { exit, stdout, response } = command('', '', junk)
      expect([exit === 0, response, stdout.includes('secret')]).toEqual([false, '', false])
      expect(stdout).toMatch(/\[error\] the (document|request) /)
    }
  })

  describe('beside a daemon', () => {
    let daemon: ChildProcess | undefined
    beforeAll(async () => {
      daemon = spawn(process.execPath, [join(root, 'bin', 'smd')], { stdio: 'ignore', env: { PATH: process.env['PATH'], STORAGE_MANAGER_STATE: join(place, 'state') } })
      const socket = join(place, 'state', 'run', 'smd.sock')
      for (let waited = 0; waited < 60_000 && !existsSync(socket); waited += 50) await sleep(50)
      expect(existsSync(socket)).toBe(true)
    })
    afterAll(async () => {
      const ended = daemon === undefined ? undefined : once(daemon, 'exit')
      daemon?.kill('SIGTERM')
      await ended
    })

    it('is answered by it, with the same response, progress and log', async () => {
      const { exit, stdout, stderr, response, progress, log } = command('discoverArrays', connection(arrays.a))
      expect([exit, stderr]).toEqual([0, ''])
      expect(await readResponse('discoverArrays', response)).toMatchObject({ arrays: [{ id: 'model-a', peerArrays: [{ id: 'model-b' }] }] })
      expect(progress).toContain('>100<')
      expect(log).toBe(stdout)
      expect(log).toMatch(/Commence: command discoverArrays\n[^]*Complete: command discoverArrays\n/)
      expect([stdout, response].some((text) => text.includes('somebody') || text.includes('p&'))).toBe(false)
    })
  })
})
