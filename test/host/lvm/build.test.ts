/** Command lines, word for word: what runs on a user's disks is to be read here. */
import { describe, expect, it } from 'vitest'
import * as build from '../../../host/lvm/build.ts'
import type { Command } from '../../../core/ports.ts'
import { devicePath, mapperName, mapperUuid } from '../../../host/lvm/names.ts'

const at = { vg: 'VG_X', devices: ['/dev/sda', '/dev/disk/by-id/wwn-0x5'] }
const lv = 'LV-98de866e-b035-4b1a-a571-613bff542b89'

const changes: Readonly<Record<string, readonly [Command, string]>> = {
  'a physical volume': [build.createPhysical('/dev/sda', 'SMnew0-aaaa', 4194304), 'lvm pvcreate -qq CONFIG --devices /dev/sda --uuid SMnew0-aaaa --norestorefile --metadatasize 4194304b /dev/sda'],
  'a group': [build.createGroup(at, ['a', 'b']), 'lvm vgcreate -qq CONFIG DEVICES --setautoactivation n --addtag a --addtag b VG_X /dev/sda /dev/disk/by-id/wwn-0x5'],
  'tags of a group': [build.changeGroupTags(at, ['new'], ['old']), 'lvm vgchange -qq CONFIG DEVICES --deltag old --addtag new VG_X'],
  'no autoactivation': [build.forbidAutoactivation(at), 'lvm vgchange -qq CONFIG DEVICES --setautoactivation n VG_X'],
  'everything inactive': [build.deactivateGroup(at), 'lvm vgchange -qq CONFIG DEVICES --activate n VG_X'],
  'a grown device': [build.growPhysical(at, '/dev/sda'), 'lvm pvresize -qq CONFIG DEVICES /dev/sda'],
  'a copied group': [build.importClone(at.devices, 'VG_Y'), 'lvm vgimportclone -qq CONFIG DEVICES --basevgname VG_Y /dev/sda /dev/disk/by-id/wwn-0x5'],
  'a volume': [build.createVolume(at, lv, 8388608, ['t']), `lvm lvcreate -qq CONFIG DEVICES --activate n --wipesignatures n --zero n --size 8388608b --name ${lv} --addtag t VG_X`],
  'a thin volume': [build.createThin(at, 'pool', lv, 8388608, []), `lvm lvcreate -qq CONFIG DEVICES --activate n --setactivationskip n --virtualsize 8388608b --thinpool pool --name ${lv} VG_X`],
  'a snapshot': [build.snapshotThin(at, lv, 'LV-2', 'r', ['t']), `lvm lvcreate -qq CONFIG DEVICES --snapshot --activate n --setactivationskip n --permission r --name LV-2 --addtag t VG_X/${lv}`],
  'a rename': [build.renameVolume(at, lv, 'OLD'), `lvm lvrename -qq CONFIG DEVICES VG_X ${lv} OLD`],
  'a larger volume': [build.growVolume(at, lv, 8388608), `lvm lvextend -qq CONFIG DEVICES --size 8388608b VG_X/${lv}`],
  'a larger pool': [build.growPool(at, 'pool'), 'lvm lvextend -qq CONFIG DEVICES --extents +100%FREE VG_X/pool'],
  'tags of a volume': [build.changeVolumeTags(at, [lv], ['new'], ['old']), `lvm lvchange -qq CONFIG DEVICES --deltag old --addtag new VG_X/${lv}`],
  'active': [build.activateVolumes(at, [lv]), `lvm lvchange -qq CONFIG DEVICES --activate y --ignoreactivationskip VG_X/${lv}`],
  'inactive': [build.deactivateVolumes(at, [lv]), `lvm lvchange -qq CONFIG DEVICES --activate n VG_X/${lv}`],
  'a removal': [build.removeVolume(at, lv, false), `lvm lvremove -qq CONFIG DEVICES --force VG_X/${lv}`],
}

const short = ({ argv }: Command): string =>
  argv.join(' ').replace('--config devices{hints="none"}activation{monitoring=0}global{thin_check_options=["-q","--clear-needs-check-flag"]}', 'CONFIG').replace('--devices /dev/sda,/dev/disk/by-id/wwn-0x5', 'DEVICES')

describe('the command lines of LVM', () => {
  it.each(Object.entries(changes))('for %s', (_what, [command, wanted]) => {
    expect(short(command)).toBe(wanted)
    expect(command.effect).toBe('write')
  })

  it('make a pool that errors when it is full by the default setting, which lvcreate takes where it does not take the option', () => {
    const { argv } = build.createPool(at, { name: 'pool', errorWhenFull: true, passDiscards: false, metadataBytes: 1048576 })
    expect(argv.find((word) => word.startsWith('devices{'))).toMatch(/activation\{error_when_full=1\}$/)
    expect(argv.slice(argv.indexOf('--activate')).join(' ')).toBe('--activate n --type thin-pool --extents 100%FREE --poolmetadatasize 1048576b --zero y --discards nopassdown --name pool VG_X')
    expect(build.createPool(at, { name: 'pool', bytes: 8388608, errorWhenFull: false, passDiscards: true }).argv.join(' ')).toMatch(/error_when_full=0.*--size 8388608b.*--discards passdown/)
  })

  it('tell the devices of freed space only when that is wanted', () => {
    expect(build.removeVolume(at, lv, true).argv.join(' ')).toContain('devices{issue_discards=1}')
    expect(build.removeVolume(at, lv, false).argv.join(' ')).not.toContain('issue_discards')
  })

  it('never answer yes to a question of LVM', () => {
    const all = [...Object.values(changes).map(([command]) => command), build.createPool(at, { name: 'p', errorWhenFull: true, passDiscards: false })]
    for (const { argv } of all) {
      expect(argv).toContain('-qq')
      expect(argv.some((arg) => ['-y', '--yes', '-f', '-ff'].includes(arg))).toBe(false)
    }
  })

  it('see the devices of the SR and no others, in every change and every report of a group', () => {
    for (const [command] of Object.values(changes)) expect(command.argv).toContain('--devices')
    for (const command of [build.listVolumes(at), build.listGroup(at), build.listPhysical(at.devices), build.checkGroup(at)]) {
      expect(command.argv).toContain('/dev/sda,/dev/disk/by-id/wwn-0x5')
      expect(command.effect).toBe('read')
    }
  })
})

describe('names', () => {
  it('are those of the SM API, and of device-mapper below it', () => {
    const vg = 'VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c'
    expect(devicePath(vg, lv)).toBe('/dev/VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c/LV-98de866e-b035-4b1a-a571-613bff542b89')
    expect(mapperName(vg, lv)).toBe('VG_XenStorage--87b8646b--b800--9500--cb7b--af3b74e02f5c-LV--98de866e--b035--4b1a--a571--613bff542b89')
    expect(mapperName(vg, `OLD-${lv.slice(3)}`).length).toBeLessThan(128)
    expect(mapperUuid('eNpUW5-xXAH-P0m8-xZ80-x6a5-V1gm-0daGKs', '02BQcT-BLwa-1XD9-rCBw-6omT-cQiL-e8QZ0s')).toBe('LVM-eNpUW5xXAHP0m8xZ80x6a5V1gm0daGKs02BQcTBLwa1XD9rCBw6omTcQiLe8QZ0s')
  })
})
