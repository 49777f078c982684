/**
 * Places that go wrong under the executables: full half-way, read-only, gone, a link. Real file systems in a mount namespace of
 * their own, so root is needed; every front end is told the same, and nothing is lost or left behind.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitUntil } from './machine.ts'

const root = join(import.meta.dirname, '../..')
const able = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
const scratch = mkdtempSync(join(tmpdir(), 'sm-bad-places-'))
let keeper: ChildProcess | undefined

/** In the namespace, where the mounts are. */
const inside = (words: readonly string[], state: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => {
  const { status, stdout, stderr } = spawnSync('nsenter', ['-t', String(keeper?.pid), '-m', '--', ...words], { encoding: 'utf8', env: { PATH: process.env['PATH'], STORAGE_MANAGER_STATE: state } })
  return { status, stdout, stderr }
}
const sh = (script: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = inside(['sh', '-euc', script, 'sh', ...args], scratch)
  expect({ script, status, stderr }).toEqual({ script, status: 0, stderr: '' })
  return stdout
}

beforeAll(async () => {
  if (!able) return
  keeper = spawn('unshare', ['-m', 'sh', '-c', 'mount --make-rprivate / && echo ready && cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  if (keeper.stdout !== null) await once(keeper.stdout, 'data')
})
afterAll(async () => {
  const ended = keeper === undefined ? undefined : once(keeper, 'close')
  keeper?.stdin?.end()
  await ended
  rmSync(scratch, { recursive: true, force: true })
})

interface Front {
  readonly name: string
  readonly daemon: boolean
  /** Words of one call. */
  readonly say: (verb: 'create' | 'attach' | 'scan' | 'new disk' | 'detach', location: string, sr: string, vdi: string) => readonly string[]
}

const node = process.execPath
const bin = (name: string): string => join(root, 'bin', name)
const smctl: Front['say'] = (verb, location, sr, vdi) => [node, bin('smctl'), ...({
  create: ['sr', 'create', 'file', `location=${location}`, '--sr-uuid', sr],
  attach: ['sr', 'attach', sr, '--type', 'file', `location=${location}`],
  scan: ['sr', 'scan', sr, '-q'],
  'new disk': ['vdi', 'create', sr, '1M', '--vdi-uuid', vdi],
  detach: ['sr', 'detach', sr],
} as const)[verb]]
const fileSr: Front['say'] = (verb, location, sr, vdi) => [node, bin('FileSR'), `<dconf><location>${location}</location></dconf>`, ...({
  create: ['sr_create', sr, '0'], attach: ['sr_attach', sr], scan: ['sr_scan', sr], 'new disk': ['vdi_create', sr, vdi, '1048576'], detach: ['sr_detach', sr],
} as const)[verb]]

const fronts: readonly Front[] = [
  { name: 'FileSR', daemon: false, say: fileSr },
  { name: 'smctl', daemon: false, say: smctl },
  { name: 'smctl and the daemon', daemon: true, say: smctl },
]

describe.skipIf(!able).each(fronts)('through $name, a place', ({ name, daemon, say }) => {
  const home = join(scratch, name.replaceAll(' ', '-'))
  const state = join(home, 'state')
  const place = join(home, 'place')
  const sr = crypto.randomUUID()
  const disk = crypto.randomUUID()
  let smd: ChildProcess | undefined

  const call = (verb: Parameters<Front['say']>[0], location = place, vdi: string = crypto.randomUUID()) => inside(say(verb, location, sr, vdi), state)
  const listing = (): string => sh('find "$1" -type f | sort', place)

  beforeAll(async () => {
    mkdirSync(place, { recursive: true })
    mkdirSync(state, { mode: 0o700 })
    sh('mount -t tmpfs -o size=4m none "$1"; mkdir "$1/disks"', place)
    if (!daemon) return
    smd = spawn('nsenter', ['-t', String(keeper?.pid), '-m', '--', node, bin('smd')], { env: { PATH: process.env['PATH'], STORAGE_MANAGER_STATE: state }, stdio: 'ignore' })
    await waitUntil('the daemon listens', () => existsSync(join(state, 'run', 'smd.sock')))
  })
  afterAll(async () => {
    const ended = smd === undefined ? undefined : once(smd, 'close')
    smd?.kill('SIGTERM')
    await ended
  })

  const location = `${place}/disks`

  it('that is a link is neither made into an SR nor attached', () => {
    sh('ln -s disks "$1/link"', place)
    expect(call('create', `${place}/link`)).toMatchObject({ status: 17, stdout: '', stderr: expect.stringContaining('symbolic link') as unknown })
    expect(listing()).toBe('')
    expect(call('create', location).status).toBe(0)
    expect(call('attach', `${place}/link`).status).not.toBe(0)
    expect(call('attach', location).status).toBe(0)
    expect(call('new disk', location, disk).status).toBe(0)
  })

  it('that is full says so, keeps what it has, and works on when there is room', () => {
    const before = listing()
    sh('cat /dev/zero > "$1/filler" 2>/dev/null || true', place)
    expect(call('new disk', location)).toMatchObject({ status: 28, stdout: '' })
    sh('rm "$1/filler"', place)
    expect(listing()).toBe(before)
    expect(call('scan', location).stdout).toContain(disk)
    expect(call('new disk', location).status).toBe(0)
  })

  it('that is read-only can be scanned, and refuses changes with a remedy', () => {
    const before = listing()
    sh('mount -o remount,ro "$1"', place)
    const refused = call('new disk', location)
    expect(refused.status).not.toBe(0)
    expect(refused).toMatchObject({ stdout: '', stderr: expect.stringMatching(/read-only[^]*remedy: /i) as unknown })
    expect(call('scan', location)).toMatchObject({ status: 0, stdout: expect.stringContaining(disk) as unknown })
    sh('mount -o remount,rw "$1"', place)
    expect(listing()).toBe(before)
  })

  it('that is gone is an error, never an empty SR, and can be let go', () => {
    sh('umount -l "$1"', place)
    expect(call('scan', location)).toMatchObject({ status: 19, stdout: '', stderr: expect.stringContaining(location) as unknown })
    expect(call('new disk', location)).toMatchObject({ status: 19, stdout: '' })
    expect(call('detach', location).status).toBe(0)
  })
})
