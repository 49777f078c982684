import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DaemonConfig, readSettings } from '../../cli/config.ts'
import { readToken } from '../../cli/http-listeners.ts'
import { defaultSocket, socketPath, stateDirectory } from '../../cli/state-directory.ts'
import { defaultLimits } from '../../rpc/limits.ts'
import { temporaryDirectory } from '../rpc/memory.ts'

let directory: ReturnType<typeof temporaryDirectory>
beforeEach(() => (directory = temporaryDirectory()))
afterEach(() => directory.remove())

const write = (config: unknown, name = 'config.json'): string => {
  const file = join(directory.path, name)
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 })
  return file
}

describe('the state directory', () => {
  it('is the flag, else the environment, else the place for this user', () => {
    expect(stateDirectory('/a', { STORAGE_MANAGER_STATE: '/b' })).toBe('/a')
    expect(stateDirectory(undefined, { STORAGE_MANAGER_STATE: '/b' })).toBe('/b')
    expect(stateDirectory(undefined, { XDG_STATE_HOME: '/c' })).toBe(process.getuid?.() === 0 ? '/var/lib/storage-manager' : '/c/storage-manager')
    expect(() => stateDirectory('', {})).toThrow(/empty/)
  })

  it('says where commands find the daemon', () => {
    expect(socketPath(undefined, '/state', {})).toBe('/state/run/smd.sock')
    expect(socketPath(undefined, '/state', { STORAGE_MANAGER_SOCKET: '/s' })).toBe('/s')
    expect(socketPath('/f', '/state', { STORAGE_MANAGER_SOCKET: '/s' })).toBe('/f')
  })
})

describe('the configuration of the daemon', () => {
  it('needs no file: everything has a default', () => {
    expect(readSettings(directory.path)).toMatchObject({
      socket: defaultSocket(directory.path), http: [], tokenFile: join(directory.path, 'http-token'), log_level: 'info', drivers: [],
      collector: { enabled: true, idle_seconds: 30 }, limits: defaultLimits, stop_seconds: 20,
    })
  })

  it('has limits whose defaults are within what it accepts', () => {
    expect(DaemonConfig.parse(DaemonConfig.parse({}))).toEqual(DaemonConfig.parse({}))
  })

  it('reads paths from where the file is, and leaves names of packages alone', () => {
    const file = write({ socket: 'smd.sock', token_file: 'token', drivers: ['./mine', 'a-package'], http: [{ port: 1, tls: { cert: 'c.pem', key: '/k.pem' } }] }, 'other.json')
    expect(readSettings('/state', file)).toMatchObject({
      socket: join(directory.path, 'smd.sock'), tokenFile: join(directory.path, 'token'), drivers: [join(directory.path, 'mine'), 'a-package'],
      http: [{ host: '127.0.0.1', port: 1, tls: { cert: join(directory.path, 'c.pem'), key: '/k.pem' } }],
    })
  })

  it('can do without a unix socket', () => {
    write({ socket: false })
    expect(readSettings(directory.path).socket).toBeUndefined()
  })

  it('names the key that is wrong, guesses what was meant, and says which file', () => {
    write({ colector: {} })
    expect(() => readSettings(directory.path)).toThrow(expect.objectContaining({ kind: 'invalidArgument', message: expect.stringContaining('did you mean collector') }))
    write({ http: [{ port: 99_999 }] })
    expect(() => readSettings(directory.path)).toThrow(expect.objectContaining({ facts: expect.objectContaining({ field: 'config.http.0.port', remedy: expect.stringContaining('config.json') }) }))
    write('{')
    expect(() => readSettings(directory.path)).toThrow(expect.objectContaining({ kind: 'invalidArgument', message: expect.stringContaining('no JSON') }))
  })

  it('is documented by an example that holds, with every key and the true defaults', () => {
    const manual = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'daemon.md'), 'utf8')
    const example: unknown = JSON.parse(/## Configuration[\s\S]*?```json\n([\s\S]*?)```/.exec(manual)?.[1] ?? '')
    const parsed = DaemonConfig.parse(example)
    expect(Object.keys(parsed).sort()).toEqual(Object.keys(DaemonConfig.shape).sort())
    const { limits, collector, log_level: level, stop_seconds: stop } = DaemonConfig.parse({})
    expect(parsed).toMatchObject({ limits, collector, log_level: level, stop_seconds: stop })
  })

  it('must be there when it is named', () => {
    expect(() => readSettings(directory.path, join(directory.path, 'missing.json'))).toThrow(expect.objectContaining({ kind: 'invalidArgument', message: expect.stringContaining('missing.json') }))
  })

  it('is not read when others could have written it: it names code to load', () => {
    chmodSync(write({}), 0o666)
    expect(() => readSettings(directory.path)).toThrow(expect.objectContaining({ kind: 'permissionDenied', facts: expect.objectContaining({ remedy: expect.stringContaining('chmod') }) }))
  })
})

describe('the token file', () => {
  const file = (): string => join(directory.path, 'http-token')

  it('is made once, long and private, and then kept', () => {
    const token = readToken(file())
    expect(token.length).toBeGreaterThanOrEqual(43)
    expect(readToken(file())).toBe(token)
  })

  it('is refused when others can read it, or when it holds no real token', () => {
    readToken(file())
    chmodSync(file(), 0o644)
    expect(() => readToken(file())).toThrow(expect.objectContaining({ kind: 'permissionDenied' }))
    for (const weak of ['', 'short', 'with space in the middle of it', 'line\nbreak-in-the-middle']) {
      writeFileSync(file(), weak)
      chmodSync(file(), 0o600)
      expect(() => readToken(file())).toThrow(expect.objectContaining({ kind: 'invalidArgument', facts: expect.objectContaining({ field: 'config.token_file' }) }))
    }
  })
})
