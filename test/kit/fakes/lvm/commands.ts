/** The commands of LVM on the model, with the answers and texts of lvm2 2.03.16. Every failure is status 5. */
import type { RunResult } from '../../../../core/ports.ts'
import { DiskError, diskInode, readLabel, writeLabel, writeText, type Disk } from './disks.ts'
import {
  allocate, chunkSize, commit, extentSize, findGroups, findPvs, freeExtents, newUuid, sizeOf, usedChunks, type FoundGroup, type ModelGroup, type ModelVolume,
} from './groups.ts'
import { readArguments, type Arguments } from './options.ts'
import { activateNode, deactivateNode, findDisk, keyOf, renewNode, type LvmState } from './state.ts'

class Refusal extends Error {}
const refuse = (text: string): never => {
  throw new Refusal(text)
}

export const answer = (stdout: string, stderr = '', exitCode = 0): RunResult => ({ exitCode, stdout, stderr, durationMs: 1 })

const visible = (state: LvmState, args: Arguments): readonly Disk[] => {
  const named = args.value('--devices')
  const there = state.disks.filter((disk) => disk.pulled === undefined)
  return named === undefined ? there : named.split(',').flatMap((name) => findDisk(state, name) ?? [])
}

const groupNamed = (state: LvmState, args: Arguments, name: string): FoundGroup =>
  findGroups(state.root, visible(state, args)).find(({ group }) => group.name === name)
  ?? refuse(`  Volume group "${name}" not found\n  Cannot process volume group ${name}`)

const complete = (found: FoundGroup): FoundGroup => {
  const [missing] = found.missing
  if (missing === undefined) return found
  return refuse(`  WARNING: Couldn't find device with uuid ${missing}.\n  Cannot change VG ${found.group.name} while PVs are missing.\n  See vgreduce --removemissing and vgextend --restoremissing.\n  Cannot process volume group ${found.group.name}`)
}

const splitName = (operand: string): readonly [string, string] => {
  const [vg = '', lv = ''] = operand.split('/')
  return [vg, lv]
}

const volumeNamed = (group: ModelGroup, name: string): ModelVolume =>
  group.lvs.find((lv) => lv.name === name) ?? refuse(`  Failed to find logical volume "${group.name}/${name}"`)

const bytesIn = (text: string | undefined): number => {
  const match = /^(\d+)b$/.exec(text ?? '')
  return match === null ? refuse(`  Invalid argument for --size: ${text}`) : Number(match[1])
}

const extentsFor = (bytes: number): number => Math.ceil(bytes / extentSize)

const checkTags = (tags: readonly string[]): void => {
  for (const tag of tags) if (!/^[A-Za-z0-9_+.\-/=!:&#]{1,1024}$/.test(tag)) refuse(`  Invalid argument for --addtag: ${tag}`)
}

/** Additions come first in LVM, so a tag in both lists ends up gone. */
const changeTags = (tags: readonly string[], args: Arguments): string[] => {
  checkTags(args.values('--addtag'))
  const added = [...tags, ...args.values('--addtag').filter((tag) => !tags.includes(tag))]
  return added.filter((tag) => !args.values('--deltag').includes(tag)).sort()
}

const isPartial = (found: FoundGroup, lv: ModelVolume): boolean => {
  const pool = lv.pool === undefined ? undefined : found.group.lvs.find(({ name }) => name === lv.pool)
  return [...lv.segments, ...(pool?.segments ?? [])].some((segment) => found.missing.includes(segment.pv))
}

const makeActive = (state: LvmState, found: FoundGroup, lv: ModelVolume): void => {
  const { group } = found
  if (isPartial(found, lv)) refuse(`  Refusing activation of partial LV ${group.name}/${lv.name}.  Use '--activationmode partial' to override.`)
  if (lv.kind === 'thin') {
    const pool = volumeNamed(group, lv.pool ?? '')
    // The hidden layer below: the pool's own node is not made for it.
    if (!state.active.has(keyOf(group.uuid, pool.uuid)) && !state.active.has(keyOf(group.uuid, `${pool.uuid}-tpool`))) {
      activateNode(state, { vg: group.name, vgUuid: group.uuid, name: `${pool.name}-tpool`, uuid: `${pool.uuid}-tpool`, size: pool.size, hasNode: false, readOnly: false, open: 0, suspended: false })
    }
  }
  if (state.active.has(keyOf(group.uuid, lv.uuid))) return
  activateNode(state, { vg: group.name, vgUuid: group.uuid, name: lv.name, uuid: lv.uuid, size: lv.size, hasNode: lv.kind !== 'pool', readOnly: !lv.writable, open: 0, suspended: false })
}

const makeInactive = (state: LvmState, group: ModelGroup, lv: ModelVolume): void => {
  if ((state.active.get(keyOf(group.uuid, lv.uuid))?.open ?? 0) > 0) refuse(`  Logical volume ${group.name}/${lv.name} in use.`)
  deactivateNode(state, keyOf(group.uuid, lv.uuid))
  for (const pool of group.lvs.filter(({ kind }) => kind === 'pool')) {
    if (!group.lvs.some((other) => other.pool === pool.name && state.active.has(keyOf(group.uuid, other.uuid)))) deactivateNode(state, keyOf(group.uuid, `${pool.uuid}-tpool`))
  }
}

const poolFull = (group: ModelGroup, pool: ModelVolume): boolean => usedChunks(group, pool.name).size * chunkSize >= pool.size

const refuseFull = (group: ModelGroup, pool: ModelVolume): void => {
  if (poolFull(group, pool)) refuse(`  Cannot create new thin volume, free space in thin pool ${group.name}/${pool.name} reached threshold.`)
}

const need = (group: ModelGroup, count: number) =>
  allocate(group, count) ?? refuse(`  Volume group "${group.name}" has insufficient free space (${freeExtents(group)} extents): ${count} required.`)

type Verb = (state: LvmState, args: Arguments) => RunResult

const lvcreate: Verb = (state, args) => {
  const tags = changeTags([], args)
  const name = args.value('--name') ?? ''
  const [operand = ''] = args.operands
  const [vg, origin] = splitName(operand)
  const found = complete(groupNamed(state, args, vg))
  const { group } = found
  if (group.lvs.some((lv) => lv.name === name)) refuse(`  Logical Volume "${name}" already exists in volume group "${group.name}"`)
  if (args.value('--activate') !== 'n') throw new Error('the model makes inactive volumes only')
  const base = { name, uuid: newUuid(), tags, writable: args.value('--permission') !== 'r' }
  if (args.has('--snapshot')) {
    const source = volumeNamed(group, origin)
    refuseFull(group, volumeNamed(group, source.pool ?? ''))
    group.lvs.push({ ...base, kind: 'thin', size: source.size, segments: [], pool: source.pool ?? '', map: { ...source.map } })
  } else if (args.value('--type') === 'thin-pool') {
    const metadataBytes = args.has('--poolmetadatasize') ? bytesIn(args.value('--poolmetadatasize')) : extentSize
    const free = freeExtents(group) - Math.ceil(metadataBytes * 2 / extentSize)
    const count = args.value('--extents') === '100%FREE' ? free : extentsFor(bytesIn(args.value('--size')))
    const config = args.value('--config') ?? ''
    group.lvs.push({ ...base, kind: 'pool', size: count * extentSize, segments: count > free ? need(group, count * 2) : need(group, count), metadataBytes, whenFull: config.includes('error_when_full=1') ? 'error' : 'queue' })
  } else if (args.has('--thinpool')) {
    const pool = volumeNamed(group, args.value('--thinpool') ?? '')
    refuseFull(group, pool)
    group.lvs.push({ ...base, kind: 'thin', size: extentsFor(bytesIn(args.value('--virtualsize'))) * extentSize, segments: [], pool: pool.name, map: {} })
  } else {
    const count = extentsFor(bytesIn(args.value('--size')))
    group.lvs.push({ ...base, kind: 'linear', size: count * extentSize, segments: need(group, count) })
  }
  commit(state.root, found)
  return answer('')
}

const lvremove: Verb = (state, args) => {
  const [vg, name] = splitName(args.operands[0] ?? '')
  const found = complete(groupNamed(state, args, vg))
  const lv = volumeNamed(found.group, name)
  if (lv.kind === 'pool') throw new Error('removing a pool removes every volume in it: no driver does that')
  makeInactive(state, found.group, lv)
  found.group.lvs = found.group.lvs.filter((other) => other !== lv)
  commit(state.root, found)
  return answer('')
}

const lvrename: Verb = (state, args) => {
  const [vg = '', from = '', to = ''] = args.operands
  const found = complete(groupNamed(state, args, vg))
  const lv = found.group.lvs.find((one) => one.name === from) ?? refuse(`  Existing logical volume "${from}" not found in volume group "${vg}"`)
  if (found.group.lvs.some((one) => one.name === to)) refuse(`  Logical volume "${to}" already exists in volume group "${vg}"`)
  lv.name = to
  commit(state.root, found)
  const active = state.active.get(keyOf(found.group.uuid, lv.uuid))
  if (active !== undefined) renewNode(state, active, { name: to })
  return answer('')
}

const lvextend: Verb = (state, args) => {
  const [vg, name] = splitName(args.operands[0] ?? '')
  const found = complete(groupNamed(state, args, vg))
  const { group } = found
  const lv = volumeNamed(group, name)
  const extents = args.value('--extents') === '+100%FREE' ? lv.size / extentSize + freeExtents(group) : extentsFor(bytesIn(args.value('--size')))
  const more = extents - lv.size / extentSize
  if (more <= 0) refuse(`  New size (${extents} extents) matches existing size (${extents} extents).`)
  if (lv.kind !== 'thin') lv.segments.push(...(allocate(group, more) ?? refuse(`  Insufficient free space: ${more} extents needed, but only ${freeExtents(group)} available`)))
  lv.size = extents * extentSize
  commit(state.root, found)
  const active = state.active.get(keyOf(found.group.uuid, lv.uuid))
  if (active !== undefined) renewNode(state, active, { size: lv.size })
  return answer('')
}

const changeOne = (state: LvmState, args: Arguments, operand: string): void => {
  const [vg, name] = splitName(operand)
  const found = groupNamed(state, args, vg)
  const lv = volumeNamed(found.group, name)
  if (args.value('--activate') === 'y') makeActive(state, found, lv)
  else if (args.value('--activate') === 'n') makeInactive(state, found.group, lv)
  else {
    complete(found)
    lv.tags = changeTags(lv.tags, args)
    if (args.has('--errorwhenfull')) lv.whenFull = args.value('--errorwhenfull') === 'y' ? 'error' : 'queue'
    commit(state.root, found)
  }
}

/** Of several volumes the real one does what it can, and ends with the worst of their statuses. */
const lvchange: Verb = (state, args) => {
  const said = args.operands.flatMap((operand) => {
    try {
      changeOne(state, args, operand)
      return []
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return [error.message]
    }
  })
  return said.length === 0 ? answer('') : refuse(said.join('\n'))
}

const vgchange: Verb = (state, args) => {
  const found = groupNamed(state, args, args.operands[0] ?? '')
  const { group } = found
  if (args.value('--activate') === 'n') {
    const open = group.lvs.find((lv) => (state.active.get(keyOf(group.uuid, lv.uuid))?.open ?? 0) > 0)
    if (open !== undefined) refuse(`  Logical volume ${group.name}/${open.name} in use.\n  Can't deactivate volume group "${group.name}" with 1 open logical volume(s)`)
    for (const lv of group.lvs) makeInactive(state, group, lv)
    return answer('')
  }
  complete(found)
  if (args.value('--setautoactivation') === 'n') group.autoactivation = false
  group.tags = changeTags(group.tags, args)
  commit(state.root, found)
  return answer('')
}

const pvcreate: Verb = (state, args) => {
  const disk = findDisk(state, args.operands[0] ?? '') ?? refuse(`  No device found for ${args.operands[0] ?? ''}.`)
  if (readLabel(state.root, disk) !== undefined) refuse(`  Can't initialize physical volume "${disk.path}" without -ff`)
  const metadataSize = bytesIn(args.value('--metadatasize'))
  const dataStart = Math.ceil((4096 + metadataSize) / 2 ** 20) * 2 ** 20
  writeText(state.root, disk, '')
  writeLabel(state.root, disk, { pv: args.value('--uuid') ?? newUuid(), metadataSize, dataStart })
  return answer('')
}

const vgcreate: Verb = (state, args) => {
  const [name = '', ...devices] = args.operands
  const all = visible(state, args)
  if (findGroups(state.root, all).some(({ group }) => group.name === name)) refuse(`  A volume group called ${name} already exists.`)
  const pvs = devices.map((device) => findPvs(state.root, all).find((pv) => pv.disk === findDisk(state, device)) ?? refuse(`  No device found for ${device}.`))
  const taken = pvs.find((pv) => findGroups(state.root, all).some(({ group }) => group.pvs.some(({ uuid }) => uuid === pv.label.pv)))
  if (taken !== undefined) refuse(`  Physical volume '${taken.disk.path}' is already in volume group`)
  const group: ModelGroup = {
    name, uuid: newUuid(), sequence: 0, tags: changeTags([], args), autoactivation: args.value('--setautoactivation') !== 'n', lvs: [],
    pvs: pvs.map(({ disk, label, size }) => ({ uuid: label.pv, hint: disk.path, size, dataStart: label.dataStart, extents: Math.floor((size - label.dataStart) / extentSize) })),
  }
  commit(state.root, { group, disks: new Map(pvs.map((pv) => [pv.label.pv, pv])), missing: [] })
  return answer('')
}

const pvresize: Verb = (state, args) => {
  const disk = findDisk(state, args.operands[0] ?? '') ?? refuse(`  Failed to find physical volume "${args.operands[0] ?? ''}".`)
  const found = findGroups(state.root, visible(state, args)).find(({ disks }) => [...disks.values()].some((pv) => pv.disk === disk)) ?? refuse('  Failed to find physical volume')
  const pv = complete(found).group.pvs.find(({ uuid }) => uuid === readLabel(state.root, disk)?.pv)
  if (pv !== undefined) {
    pv.size = sizeOf(state.root, disk)
    pv.extents = Math.floor((pv.size - pv.dataStart) / extentSize)
  }
  commit(state.root, found)
  return answer('')
}

const vgimportclone: Verb = (state, args) => {
  const disks = args.operands.map((name) => findDisk(state, name) ?? refuse('  Failed to find all devices.'))
  const found = findGroups(state.root, disks)[0] ?? refuse('  Failed to find VG name')
  const { group } = complete(found)
  const renewed = new Map(group.pvs.map(({ uuid }) => [uuid, newUuid()]))
  const fresh = new Map([...found.disks].map(([uuid, pv]) => {
    const label = { ...pv.label, pv: renewed.get(uuid) ?? uuid }
    writeLabel(state.root, pv.disk, label)
    return [label.pv, { ...pv, label }] as const
  }))
  group.pvs = group.pvs.map((pv) => ({ ...pv, uuid: renewed.get(pv.uuid) ?? pv.uuid }))
  for (const lv of group.lvs) lv.segments = lv.segments.map((segment) => ({ ...segment, pv: renewed.get(segment.pv) ?? segment.pv }))
  group.uuid = newUuid()
  group.name = args.value('--basevgname') ?? group.name
  commit(state.root, { group, disks: fresh, missing: [] })
  return answer('')
}

const vgck: Verb = (state, args) => {
  complete(groupNamed(state, args, args.operands[0] ?? ''))
  return answer('')
}

const percent = (part: number): string => (part * 100).toFixed(2)

const attributesOf = (state: LvmState, found: FoundGroup, lv: ModelVolume): string => {
  const active = state.active.get(keyOf(found.group.uuid, lv.uuid))
  const isOut = lv.kind === 'pool' && active !== undefined && poolFull(found.group, lv)
  return [
    { linear: '-', pool: 't', thin: 'V' }[lv.kind], lv.writable ? 'w' : 'r', 'i', '-',
    active === undefined ? '-' : active.suspended ? 's' : 'a', (active?.open ?? 0) > 0 ? 'o' : '-',
    lv.kind === 'linear' ? '-' : 't', lv.kind === 'linear' ? '-' : 'z', isPartial(found, lv) ? 'p' : isOut ? 'D' : '-', '-',
  ].join('')
}

const vgRow = ({ group, missing }: FoundGroup): Record<string, string> => ({
  vg_name: group.name, vg_uuid: group.uuid, vg_tags: group.tags.join(','), vg_size: String(group.pvs.reduce((sum, pv) => sum + pv.extents, 0) * extentSize),
  vg_free: String(freeExtents(group) * extentSize), vg_extent_size: String(extentSize), vg_missing_pv_count: String(missing.length), vg_autoactivation: group.autoactivation ? 'enabled' : '',
  lv_count: String(group.lvs.length),
})

const lvRow = (state: LvmState, found: FoundGroup, lv: ModelVolume): Record<string, string> => {
  const active = state.active.has(keyOf(found.group.uuid, lv.uuid))
  const used = lv.kind === 'pool' ? usedChunks(found.group, lv.name).size : Object.keys(lv.map ?? {}).length
  return {
    ...vgRow(found),
    lv_uuid: lv.uuid, lv_name: lv.name, lv_attr: attributesOf(state, found, lv), lv_size: String(lv.size), lv_tags: lv.tags.join(','), pool_lv: lv.pool ?? '',
    data_percent: active && lv.kind !== 'linear' ? percent(used * chunkSize / lv.size) : '', metadata_percent: active && lv.kind === 'pool' ? percent(0.1) : '',
    lv_health_status: isPartial(found, lv) ? 'partial' : active && lv.kind === 'pool' && poolFull(found.group, lv) ? 'out_of_data' : '',
    lv_when_full: lv.whenFull === undefined ? '' : lv.whenFull,
  }
}

const noGroup = { vg_name: '', vg_uuid: '', vg_tags: '', vg_size: '0', vg_free: '0', vg_extent_size: '0', vg_missing_pv_count: '0', vg_autoactivation: 'enabled', lv_count: '0' }

const reportOf = (kind: string, rows: readonly Record<string, string>[], args: Arguments, stderr = ''): RunResult => {
  const columns = (args.value('-o') ?? '').split(',')
  const picked = rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? refuse(`  Unrecognised field: ${column}`)])))
  return answer(`${JSON.stringify({ report: [{ [kind]: picked }] })}\n`, stderr)
}

const warningsOf = (found: FoundGroup): string => found.missing.map((uuid) => {
  const hint = found.group.pvs.find((pv) => pv.uuid === uuid)?.hint ?? ''
  return `  WARNING: Couldn't find device with uuid ${uuid}.\n  WARNING: VG ${found.group.name} is missing PV ${uuid} (last written to ${hint}).\n`
}).join('')

const lvs: Verb = (state, args) => {
  const found = groupNamed(state, args, args.operands[0] ?? '')
  const sorted = [...found.group.lvs].sort((a, b) => (a.name < b.name ? -1 : 1))
  return reportOf('lv', sorted.map((lv) => lvRow(state, found, lv)), args, warningsOf(found))
}

const vgs: Verb = (state, args) => {
  const found = groupNamed(state, args, args.operands[0] ?? '')
  return reportOf('vg', [vgRow(found)], args, warningsOf(found))
}

const pvs: Verb = (state, args) => {
  const disks = visible(state, args)
  const groups = findGroups(state.root, disks)
  const found = findPvs(state.root, disks)
  const rowFor = (disk: Disk): Record<string, string>[] => {
    const pv = found.find((one) => one.disk === disk)
    if (pv === undefined && !args.has('-a')) return []
    const group = groups.find((one) => pv !== undefined && one.disks.has(pv.label.pv))
    const inGroup = group?.group.pvs.find(({ uuid }) => uuid === pv?.label.pv)
    return [{
      ...(group === undefined ? noGroup : vgRow(group)),
      pv_name: disk.path, pv_uuid: pv?.label.pv ?? '', pv_missing: '', dev_size: String(diskInode(state.root, disk).content.length),
      pv_size: String(inGroup === undefined ? 0 : inGroup.extents * extentSize), pe_start: String(inGroup?.dataStart ?? 0),
      pv_mda_size: String(pv?.label.metadataSize ?? 0), pv_mda_free: String((pv?.label.metadataSize ?? 0) / 2),
    }]
  }
  const missing = groups.flatMap((group) => group.missing.map((uuid) => {
    const pv = group.group.pvs.find((one) => one.uuid === uuid)
    return { ...vgRow(group), pv_name: '[unknown]', pv_uuid: uuid, pv_missing: 'missing', dev_size: '0', pv_size: String((pv?.extents ?? 0) * extentSize), pe_start: String(pv?.dataStart ?? 0), pv_mda_size: '0', pv_mda_free: '0' }
  }))
  return reportOf('pv', [...disks.flatMap(rowFor), ...missing], args, groups.map(warningsOf).join(''))
}

const verbs: Readonly<Record<string, readonly [Verb, readonly string[], readonly string[]]>> = {
  lvcreate: [lvcreate, ['--activate', '--wipesignatures', '--zero', '--size', '--extents', '--virtualsize', '--thinpool', '--type', '--poolmetadatasize', '--discards', '--name', '--addtag', '--setactivationskip', '--permission'], ['--snapshot']],
  lvremove: [lvremove, [], ['--force']],
  lvrename: [lvrename, [], []],
  lvextend: [lvextend, ['--size', '--extents'], []],
  lvchange: [lvchange, ['--activate', '--addtag', '--deltag', '--errorwhenfull'], ['--ignoreactivationskip']],
  vgchange: [vgchange, ['--activate', '--addtag', '--deltag', '--setautoactivation'], []],
  pvcreate: [pvcreate, ['--uuid', '--metadatasize'], ['--norestorefile']],
  vgcreate: [vgcreate, ['--setautoactivation', '--addtag'], []],
  pvresize: [pvresize, [], []],
  vgimportclone: [vgimportclone, ['--basevgname'], []],
  vgck: [vgck, [], []],
  lvs: [lvs, ['--reportformat', '--units', '-o'], ['--nosuffix']],
  vgs: [vgs, ['--reportformat', '--units', '-o'], ['--nosuffix']],
  pvs: [pvs, ['--reportformat', '--units', '-o'], ['--nosuffix', '-a']],
}

export const runLvm = (state: LvmState, argv: readonly string[]): RunResult => {
  const [verb = '', ...rest] = argv
  const known = verbs[verb]
  if (known === undefined) throw new Error(`the model of LVM does not know ${verb}`)
  const [act, withValue, plain] = known
  try {
    return act(state, readArguments(`lvm ${verb}`, rest, ['--config', '--devices', ...withValue], ['-qq', ...plain]))
  } catch (error) {
    if (error instanceof Refusal) return answer('', `${error.message}\n`, 5)
    if (error instanceof DiskError) return answer('', `  Error writing device: ${error.message}.\n  Failed to write VG.\n`, 5)
    throw error
  }
}
