import { describe, expect, it } from 'vitest'
import { fsckCommand, growCommand, mkfsCommand, seedCommand, setUuidCommand } from '../../../host/ext/build.ts'
import { parseSuperblock } from '../../../host/ext/parse.ts'
import { fileSystemSize } from '../../../host/ext/intent.ts'

const MiB = 2 ** 20
const uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'

/** dumpe2fs 1.47.0 on Debian 12, shortened. */
const recorded = `dumpe2fs 1.47.0 (5-Feb-2023)
Filesystem volume name:   storage-manager
Last mounted on:          <not available>
Filesystem UUID:          87b8646b-b800-9500-cb7b-af3b74e02f5c
Filesystem features:      has_journal ext_attr resize_inode dir_index filetype needs_recovery extent 64bit flex_bg metadata_csum_seed
Filesystem state:         clean
Block count:              65536
Reserved block count:     0
First block:              1
Block size:               1024
FS Error count:           2
`

describe('the ext4 tools', () => {
  it('are called with the SR as uuid of the file system, and with checksums that do not depend on it', () => {
    expect(mkfsCommand('/dev/sdb', uuid, 99 * MiB).argv).toEqual([
      'mkfs.ext4', '-q', '-U', uuid, '-L', 'storage-manager', '-O', 'metadata_csum,metadata_csum_seed,64bit', '-m', '0', '-i', '65536',
      '-e', 'remount-ro', '-E', 'lazy_itable_init=1,lazy_journal_init=1', '/dev/sdb', '101376k',
    ])
    expect(fsckCommand('/dev/sdb').argv).toEqual(['e2fsck', '-p', '/dev/sdb'])
    expect(fsckCommand('/dev/sdb', { force: true }).argv).toEqual(['e2fsck', '-p', '-f', '/dev/sdb'])
    expect(growCommand('/dev/sdb', 200 * MiB).argv).toEqual(['resize2fs', '/dev/sdb', '204800K'])
    expect(seedCommand('/dev/sdb').argv).toEqual(['tune2fs', '-O', 'metadata_csum_seed', '/dev/sdb'])
    expect(setUuidCommand('/dev/sdb', uuid).argv).toEqual(['tune2fs', '-U', uuid, '/dev/sdb'])
  })

  it('are understood: size, uuid, features and errors of a superblock', () => {
    expect(parseSuperblock(recorded)).toMatchObject({ uuid, size: 64 * MiB, state: 'clean', errors: 2, features: expect.arrayContaining(['metadata_csum_seed', 'needs_recovery']) })
    expect(parseSuperblock(recorded.replace('FS Error count:           2\n', '')).errors).toBe(0)
    expect(() => parseSuperblock('dumpe2fs: Bad magic number in super-block')).toThrow(/does not tell/)
  })

  it('leave the last MiB of a device alone', () => {
    expect(fileSystemSize({ size: 100 * MiB })).toBe(99 * MiB)
    expect(fileSystemSize({ size: 100 * MiB + 512 })).toBe(99 * MiB)
  })
})
