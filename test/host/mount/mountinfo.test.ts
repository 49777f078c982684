import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mountsOn, parseMountInfo, readMounts, visibleMount, type Mount } from '../../../host/mount/mountinfo.ts'
import { createFiles } from '../../../host/files/files.ts'

/** Recorded on Debian 12 (kernel 6.1), shortened. */
const recorded = `22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334460k,mode=755
27 1 254:0 / / rw,relatime - ext4 /dev/root rw
29 28 0:26 / /usr/lib/modules ro,relatime - 9p mods ro,dirsync,loose,access=client,msize=512000,trans=virtio
38 27 253:0 / /m rw,relatime - ext4 /dev/mapper/v0-l0 rw
40 27 0:44 / /run/with\\040blank\\134 rw,relatime shared:7 master:2 - nfs4 10.0.0.1:/a\\040b rw,vers=4.2,hard
`

const mount = (id: number, parent: number, mountPoint: string): Mount =>
  ({ id, parent, device: `0:${id}`, root: '/', mountPoint, options: ['rw'], fsType: 'tmpfs', source: `m${id}`, superOptions: ['rw'] })

describe('the mount table', () => {
  it('is read field by field, with blanks and backslashes in names', () => {
    const mounts = parseMountInfo(recorded)
    expect(mounts).toHaveLength(6)
    expect(mounts[4]).toEqual({ id: 38, parent: 27, device: '253:0', root: '/', mountPoint: '/m', options: ['rw', 'relatime'], fsType: 'ext4', source: '/dev/mapper/v0-l0', superOptions: ['rw'] })
    expect(mounts[5]).toMatchObject({ mountPoint: '/run/with blank\\', source: '10.0.0.1:/a b', fsType: 'nfs4', superOptions: ['rw', 'vers=4.2', 'hard'] })
  })

  it('gives back every name that the kernel escapes', () => {
    const escape = (text: string): string => text.replace(/[ \t\n\\]/g, (c) => `\\${(c.codePointAt(0) ?? 0).toString(8).padStart(3, '0')}`)
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\\', 'a', 'é', '0', '4') }), (name) => {
      expect(parseMountInfo(`1 0 8:1 / /${escape(name)} rw - ext4 /dev/x rw`)[0]?.mountPoint).toBe(`/${name}`)
    }))
  })

  it('that cannot be read is an error, never a table without that line', async () => {
    expect(() => parseMountInfo('38 27 253:0 / /m rw,relatime ext4 /dev/x rw')).toThrow(/cannot be read/)
    expect(() => parseMountInfo('garbage')).toThrow(/cannot be read/)
    const files = { ...createFiles(), readText: async () => undefined }
    await expect(readMounts(files)).rejects.toMatchObject({ kind: 'ioError' })
  })

  it('of this host has a root, and knows what lies on it', async () => {
    const mounts = await readMounts(createFiles())
    expect(mountsOn(mounts, '/proc').at(-1)?.fsType).toBe('proc')
    expect(visibleMount(mounts, '/proc/self')?.fsType).toBe('proc')
  })

  it('tells which mount a path ends in, whatever hides what', () => {
    const root = mount(1, 0, '/')
    const data = mount(2, 1, '/data')
    const below = mount(3, 2, '/data/sr')
    expect(visibleMount([root, data, below], '/data/sr/x')?.id).toBe(3)
    expect(visibleMount([root, data, below], '/data/srx')?.id).toBe(2)
    // Mounted first, then hidden by a later mount further up.
    expect(visibleMount([root, mount(3, 1, '/data/sr'), data], '/data/sr')?.id).toBe(2)
    // Two on one directory: the later one covers the earlier.
    expect(visibleMount([root, data, mount(4, 2, '/data')], '/data/x')?.id).toBe(4)
    // A root over the root, as after switching to it.
    expect(visibleMount([root, mount(5, 1, '/'), mount(6, 5, '/data')], '/data')?.id).toBe(6)
  })
})
