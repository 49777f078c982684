import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import type { Command, Files, Host } from '../../../core/ports.ts'
import { devicesWithUuid, inspectDevice } from '../../../host/blkid/inspect.ts'
import { parseBlkid, parseLsblk, parseSignatures } from '../../../host/blkid/parse.ts'

/** lsblk 2.38.1 on Debian 12: a disk with a volume group, one volume of it mounted. */
const diskWithVolume = `{
   "blockdevices": [
      {
         "name": "/dev/vda",
         "kname": "/dev/vda",
         "path": "/dev/vda",
         "maj:min": "254:0",
         "type": "disk",
         "size": 536870912,
         "ro": false,
         "mountpoints": [
             null
         ],
         "children": [
            {
               "name": "/dev/mapper/v0-l0",
               "kname": "/dev/dm-0",
               "path": "/dev/mapper/v0-l0",
               "maj:min": "253:0",
               "type": "lvm",
               "size": 67108864,
               "ro": false,
               "mountpoints": [
                   "/m"
               ]
            }
         ]
      }
   ]
}`

const row = (node: string, device: string, more: object = {}): object =>
  ({ 'name': node, 'kname': node, 'path': node, 'maj:min': device, 'type': 'disk', 'size': 8 * 1024 * 1024, 'ro': false, 'mountpoints': [null], ...more })
const lsblk = (...rows: readonly object[]): string => JSON.stringify({ blockdevices: rows })

/** blkid 2.38.1 and wipefs 2.38.1 on an ext4 with a label that holds blanks. */
const ext4Export = 'DEVNAME=/dev/loop0\nLABEL=SM\\ a\\ b\nUUID=87b8646b-b800-9500-cb7b-af3b74e02f5c\nVERSION=1.0\nBLOCK_SIZE=1024\nTYPE=ext4\nUSAGE=filesystem\n'
const ext4Signatures = '{\n   "signatures": [\n      {\n         "device": "loop0",\n         "offset": "0x438",\n         "type": "ext4",\n         "uuid": "87b8646b-b800-9500-cb7b-af3b74e02f5c",\n         "label": "SM a b"\n      }\n   ]\n}\n'
const noSignatures = '{\n   "signatures": [\n\n   ]\n}\n'

describe('what the tools say of devices', () => {
  it('is read: devices with what is built on them', () => {
    expect(parseLsblk(diskWithVolume)).toMatchObject([{ node: '/dev/vda', device: '254:0', size: 536870912, mountPoints: [], children: [{ node: '/dev/dm-0', path: '/dev/mapper/v0-l0', type: 'lvm', mountPoints: ['/m'] }] }])
    expect(parseLsblk('{\n   "blockdevices": [\n\n   ]\n}\n')).toEqual([])
    expect(() => parseLsblk('lsblk: something new')).toThrow(StorageError)
  })

  it('is read: type, uuid and label', () => {
    expect(parseBlkid(ext4Export)).toEqual({ type: 'ext4', uuid: '87b8646b-b800-9500-cb7b-af3b74e02f5c', label: 'SM a b' })
    expect(parseBlkid('DEVNAME=/dev/vda\nUUID=Q1Spoz-psjK-VMUh-Yr2U-NA8e-2yJN-1k6HIL\nVERSION=LVM2\\ 001\nTYPE=LVM2_member\nUSAGE=raid\n')).toEqual({ type: 'LVM2_member', uuid: 'Q1Spoz-psjK-VMUh-Yr2U-NA8e-2yJN-1k6HIL' })
    expect(parseBlkid('')).toEqual({})
  })

  it('is read: all signatures', () => {
    expect(parseSignatures(ext4Signatures)).toEqual(['ext4'])
    expect(parseSignatures(noSignatures)).toEqual([])
    expect(() => parseSignatures('')).toThrow(StorageError)
  })
})

interface World {
  readonly lsblk: Readonly<Record<string, string>>
  readonly blkid?: { readonly exitCode: number; readonly stdout: string }
  readonly wipefs?: string
  readonly find?: string
  /** What the device reads as; an error code when it cannot be read. */
  readonly content?: Uint8Array | string
}

const ctxOf = (world: World) => {
  const ran: string[] = []
  const result = (stdout: string, exitCode = 0) => ({ exitCode, stdout, stderr: '', durationMs: 1 })
  const run = async ({ argv, accept = [0] }: Command) => {
    ran.push(argv.join(' '))
    const [tool] = argv
    const last = argv.at(-1) ?? ''
    if (tool === 'lsblk') return world.lsblk[last] === undefined ? result('{"blockdevices": []}', 32) : result(world.lsblk[last])
    if (tool === 'wipefs') {
      if (world.wipefs === undefined) throw new StorageError('toolFailed', 'wipefs failed with status 1')
      return result(world.wipefs)
    }
    if (argv.includes('--match-token')) return result(world.find ?? '', world.find === undefined ? 2 : 0)
    const { exitCode, stdout } = world.blkid ?? { exitCode: 2, stdout: '' }
    if (!accept.includes(exitCode)) throw new StorageError('toolFailed', `blkid failed with status ${exitCode}`)
    return result(stdout, exitCode)
  }
  const files: Pick<Files, 'open'> = {
    open: async () => ({
      read: async (position, length) => {
        if (typeof world.content === 'string') throw Object.assign(new Error(`${world.content}: i/o error, read`), { code: world.content, syscall: 'read' })
        return (world.content ?? new Uint8Array(8 * 1024 * 1024)).subarray(position, position + length)
      },
      write: async () => undefined, truncate: async () => undefined, length: async () => 0, sync: async () => undefined, close: async () => undefined,
    }),
  }
  return { ran, ctx: { host: { run, files } as unknown as Host, signal: new AbortController().signal } }
}

const disk = { '/dev/vdb': lsblk(row('/dev/vdb', '254:16')) }
const blank: World = { lsblk: disk, wipefs: noSignatures }
const inspect = async (world: World) => inspectDevice(ctxOf(world).ctx, '/dev/vdb', 'device_config.device')

describe('a device is blank only when everything says so', () => {
  it('no signature, nothing built on it, both ends readable and zero', async () => {
    const { ctx, ran } = ctxOf(blank)
    expect((await inspectDevice(ctx, '/dev/vdb', 'device_config.device')).contents).toMatchObject({ found: 'blank' })
    expect(ran).toEqual([
      'lsblk --json --bytes --paths --output NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,MOUNTPOINTS -- /dev/vdb',
      'blkid --probe --output export -- /dev/vdb',
      'wipefs --no-act --json -- /dev/vdb',
    ])
  })

  const byte = (at: number): Uint8Array => {
    const content = new Uint8Array(8 * 1024 * 1024)
    content[at] = 1
    return content
  }

  it.each<[string, World, string, RegExp]>([
    ['it holds a file system', { ...blank, blkid: { exitCode: 0, stdout: ext4Export }, wipefs: ext4Signatures }, 'occupied', /ext4 \(uuid 87b8646b.*label "SM a b"/],
    ['only one of the tools sees a signature', { ...blank, wipefs: ext4Signatures }, 'occupied', /ext4/],
    ['it has several signatures', { ...blank, blkid: { exitCode: 8, stdout: '' }, wipefs: '{"signatures":[{"type":"gpt","offset":"0x200"},{"type":"ext4","offset":"0x438"}]}' }, 'occupied', /gpt, ext4/],
    ['it is mounted', { ...blank, lsblk: { '/dev/vdb': lsblk(row('/dev/vdb', '254:16', { mountpoints: ['/srv'] })) } }, 'occupied', /is mounted on \/srv/],
    ['it is swap', { ...blank, lsblk: { '/dev/vdb': lsblk(row('/dev/vdb', '254:16', { mountpoints: ['[SWAP]'] })) } }, 'occupied', /\[SWAP\]/],
    ['it has partitions', { ...blank, lsblk: { '/dev/vdb': lsblk(row('/dev/vdb', '254:16', { children: [row('/dev/vdb1', '254:17', { type: 'part' })] })) } }, 'occupied', /\/dev\/vdb1 \(part\)/],
    ['its first bytes are not zero', { ...blank, content: byte(3) }, 'occupied', /no known format/],
    ['its last bytes are not zero', { ...blank, content: byte(8 * 1024 * 1024 - 1) }, 'occupied', /no known format/],
    // blkid and wipefs report success and no signature on a device that cannot be read at all (seen on Debian 12).
    ['reading it fails', { ...blank, content: 'EIO' }, 'unknown', /cannot be read.*EIO/],
    ['it reads short', { ...blank, content: new Uint8Array(4096) }, 'unknown', /cannot be read/],
    ['it has no size', { ...blank, lsblk: { '/dev/vdb': lsblk(row('/dev/vdb', '254:16', { size: 0 })) } }, 'unknown', /no size/],
    ['a tool fails', { lsblk: disk }, 'unknown', /cannot be examined.*wipefs/],
  ])('not when %s', async (_, world, found, says) => {
    const { contents } = await inspect(world)
    expect(contents.found).toBe(found)
    expect(contents.says).toMatch(says)
  })

  it('and one that is not there is an error of the field that named it', async () => {
    await expect(inspect({ lsblk: {} })).rejects.toMatchObject({ kind: 'placeMissing', facts: { field: 'device_config.device' } })
  })
})

describe('devices by the uuid of their file system', () => {
  const uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
  const found = async (world: World) => (await devicesWithUuid(ctxOf(world).ctx, uuid)).map(({ path }) => path)

  it('are none, one, or several when there is a copy', async () => {
    expect(await found({ lsblk: {} })).toEqual([])
    expect(await found({ lsblk: disk, find: '/dev/vdb\n' })).toEqual(['/dev/vdb'])
    expect(await found({ lsblk: { ...disk, '/dev/vdc': lsblk(row('/dev/vdc', '254:32')) }, find: '/dev/vdc\n/dev/vdb\n' })).toEqual(['/dev/vdc', '/dev/vdb'])
  })

  it('count once when a path, a map or an array is built on another', async () => {
    const map = row('/dev/dm-1', '253:1', { path: '/dev/mapper/mpatha', type: 'mpath' })
    expect(await found({
      lsblk: { '/dev/sda': lsblk(row('/dev/sda', '8:0', { children: [map] })), '/dev/sdb': lsblk(row('/dev/sdb', '8:16', { children: [map] })), '/dev/mapper/mpatha': lsblk(map) },
      find: '/dev/mapper/mpatha\n/dev/sda\n/dev/sdb\n',
    })).toEqual(['/dev/mapper/mpatha'])
  })
})
