import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import { parseMaps } from '../../../host/dm/parse.ts'
import { parseAttributes } from '../../../host/lvm/attributes.ts'
import { explainLvm, saysNotFound } from '../../../host/lvm/errors.ts'
import { lastSeen, parseGroups, parsePhysical, parseVolumes } from '../../../host/lvm/parse.ts'

/** What lvm2 2.03.16 and dmsetup 1.02.185 answered in the lab. */
const recorded = (name: string): string => readFileSync(join(import.meta.dirname, 'recorded', name), 'utf8')

describe('the reports of LVM', () => {
  it('give thin volumes, their pool and their group from one answer', () => {
    const { group, volumes } = parseVolumes(recorded('lvs-thin.json'))
    expect(group).toMatchObject({ name: 'VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c', extentSize: 4194304, missing: 0, autoactivation: false })
    expect(volumes.map(({ name }) => name)).toEqual(['LV-11de866e-b035-4b1a-a571-613bff542b89', 'LV-98de866e-b035-4b1a-a571-613bff542b89', 'pool'])
    expect(volumes[0]).toMatchObject({ attributes: { kind: 'thin', writable: false, state: 'inactive' }, pool: 'pool', tags: ['sm.kind=snapshot', 'sm.name=before=20it'] })
    expect(volumes[1]).toMatchObject({ attributes: { kind: 'thin', writable: true, state: 'active', open: true }, size: 104857600, dataUsed: 0.2 })
    expect(volumes[2]).toMatchObject({ attributes: { kind: 'thin-pool', state: 'active' }, whenFull: 'error' })
    expect(volumes[2]?.dataUsed).toBeGreaterThan(0)
    expect(volumes[2]?.metadataUsed).toBeGreaterThan(0)
  })

  it('give no rows for a group without volumes, and its facts from another', () => {
    expect(parseVolumes(recorded('lvs-empty.json'))).toEqual({ volumes: [] })
    expect(parseGroups(recorded('vgs.json'))[0]).toMatchObject({ name: 'VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c', tags: ['sm.name=x'], missing: 0, autoactivation: false })
  })

  it('tell blank devices, physical volumes and missing ones apart, and where one was last seen', () => {
    const pvs = parsePhysical(recorded('pvs-missing.json'))
    const missing = pvs.find((pv) => pv.missing)
    expect(pvs.map(({ device, missing: gone, uuid, group }) => [device, gone, uuid !== undefined, group?.missing])).toEqual([
      ['/dev/vda', false, true, 1], ['/dev/vdc', false, false, undefined], ['[unknown]', true, true, 1],
    ])
    expect(lastSeen(recorded('pvs-missing.stderr'), missing?.uuid ?? '')).toBe('/dev/vdb')
  })

  it('are refused when they are cut off, empty or of another shape', () => {
    const whole = recorded('vgs.json')
    for (const text of ['', '{}', '[]', 'null', whole.slice(0, whole.length / 2), '{"report":[{"vg":[{"vg_name":"x"}]}]}', '{"report":[]}']) {
      expect(() => parseGroups(text), JSON.stringify(text)).toThrow(StorageError)
    }
    expect(() => parseVolumes(recorded('lvs-thin.json').replace('"Vwi', '"?wi'))).toThrow(/lv_attr/)
    expect(() => parseVolumes(recorded('lvs-thin.json').replace('"lv_size":"104857600"', '"lv_size":"big"'))).toThrow(/lv_size/)
  })
})

describe('the ten letters of lv_attr', () => {
  it('are read', () => {
    expect(parseAttributes('-wi-------')).toEqual({ kind: 'plain', writable: true, state: 'inactive', open: false, partial: false })
    expect(parseAttributes('-wi-ao----')).toMatchObject({ state: 'active', open: true })
    expect(parseAttributes('-wi-s-----')).toMatchObject({ state: 'suspended' })
    expect(parseAttributes('-wi-----p-')).toMatchObject({ partial: true })
    expect(parseAttributes('Vri-a-tz--')).toMatchObject({ kind: 'thin', writable: false })
    expect(parseAttributes('twi-aotzD-')).toMatchObject({ kind: 'thin-pool', pool: 'out of data space' })
    expect(parseAttributes('twi-aotzM-')).toMatchObject({ pool: 'metadata is read-only' })
    expect(parseAttributes('twi-cotz--')).toMatchObject({ state: 'active', pool: 'needs a check' })
    expect(parseAttributes('ewi-------')).toMatchObject({ kind: 'hidden' })
    expect(parseAttributes('zwiXX-----')).toMatchObject({ kind: 'other', state: 'unknown' })
  })

  it('are refused when there are not ten', () => {
    for (const text of ['', '-wi-', '-wi-a-----x', '-wi-a----1']) expect(parseAttributes(text)).toBeUndefined()
  })
})

describe('the failures of LVM', () => {
  const failed = (stderr: string): StorageError =>
    new StorageError('toolFailed', `lvm lvcreate failed with status 5: ${stderr}`, { layer: 'host:lvm', mayHaveChanged: true, details: { exit_code: 5, stderr } })

  it.each([
    ['  Volume group "VG_X" has insufficient free space (483 extents): 25600 required.', 'noSpace'],
    ['  Insufficient free space: 230398 extents needed, but only 252 available', 'noSpace'],
    ['  WARNING: Thin pool VG_X/pool needs check has read-only metadata.\n  Cannot create new thin volume, free space in thin pool VG_X/pool reached threshold.', 'ioError'],
    ['  WARNING: Thin pool VG_X/pool is out of data space.\n  Cannot create new thin volume, free space in thin pool VG_X/pool reached threshold.', 'noSpace'],
    ['  Logical Volume "t1" already exists in volume group "VG_X"', 'alreadyExists'],
    ['  A volume group called VG_Y already exists.', 'alreadyExists'],
    ['  Logical volume VG_X/t1 in use.', 'busy'],
    ['  Can\'t deactivate volume group "VG_X" with 1 open logical volume(s)', 'busy'],
    ['  Cannot change VG VG_X while PVs are missing.', 'placeMissing'],
    ['  Refusing activation of partial LV VG_X/t1.  Use \'--activationmode partial\' to override.', 'placeMissing'],
    ['  Cannot update volume group VG_X with duplicate PV devices.', 'identityMismatch'],
    ['  Error writing device /dev/vda at 7168 length 1024.\n  Failed to write VG VG_X.', 'ioError'],
    ['  VG VG_X 700 metadata on /dev/vda (524800 bytes) too large for circular buffer (1048064 bytes with 524800 used)', 'limitExceeded'],
    ['  Something that nobody has seen yet', 'toolFailed'],
  ])('get a nearer kind: %s', (text, kind) => {
    const explained = explainLvm(failed(text))
    expect(explained).toMatchObject({ kind, facts: { mayHaveChanged: true } })
  })

  it('say when LVM is too old', () => {
    expect(explainLvm(failed("lvs: unrecognized option '--devices'\n  Error during parsing of command line."))).toMatchObject({ kind: 'toolFailed', facts: { remedy: expect.stringMatching(/2\.03\.12/) } })
  })

  it('leave other errors alone, and know "not found" as a hint', () => {
    const other = new StorageError('cancelled', 'x')
    expect(explainLvm(other)).toBe(other)
    expect(saysNotFound(failed('  Volume group "nonvg" not found\n  Cannot process volume group nonvg'))).toBe(true)
    expect(saysNotFound(failed('  Failed to write VG VG_X.'))).toBe(false)
  })
})

describe('the maps of the kernel', () => {
  it('are read, a line each', () => {
    expect(parseMaps(recorded('dmsetup-info'))).toEqual([
      { name: 'VG_X-t1', uuid: 'LVM-8nEgogby6mM7aY3d1Regl77uwmtCuFRWF5SH45A5Y8JVWQvUYzrtrFI2iiasr0Rx', open: 0, suspended: true },
    ])
    expect(parseMaps('No devices found\n')).toEqual([])
  })
})
