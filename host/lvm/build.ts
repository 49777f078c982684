/**
 * Command lines of LVM: pure. Each is bound to the devices of one SR (lvm(8), --devices): LVM then neither reads nor sees any
 * other, so a guest's own physical volumes inside a VDI, copies of the SR and paths behind a multipath device stay out, and
 * a sick disk elsewhere holds nothing up. Needs lvm2 2.03.12 or newer.
 *
 * Changes run with -qq: every question that LVM would ask is answered "no" (lvm(8), --quiet).
 */
import type { Command } from '../../core/ports.ts'

/** One volume group and the devices that carry it. */
export interface VgPlace {
  readonly vg: string
  readonly devices: readonly string[]
}

/** Seconds of the lab's slowest disk times ten; a hung disk is not waited for longer. */
const reportMs = 60_000
const changeMs = 100_000

/** A leaked descriptor of ours is not LVM's business, and its warnings would be taken for LVM's own words. */
const env = { LVM_SUPPRESS_FD_WARNINGS: '1' }

/**
 * Hints are about all devices of the host and ours are named; dmeventd would act on its own. A thin pool that could not write its metadata
 * says that it needs a check, until a check that finds nothing wrong takes that back: Debian's LVM checks at activation and leaves it.
 */
const settings = 'devices{hints="none"}activation{monitoring=0}global{thin_check_options=["-q","--clear-needs-check-flag"]}'

const config = (more = ''): readonly string[] => ['--config', `${settings}${more}`]

const bound = (devices: readonly string[]): readonly string[] => ['--devices', devices.join(',')]

const report = (verb: 'lvs' | 'vgs' | 'pvs', devices: readonly string[] | undefined, columns: string, operands: readonly string[]): Command => ({
  argv: ['lvm', verb, ...config(), ...(devices === undefined ? [] : bound(devices)), '--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', columns, ...operands],
  env, timeoutMs: reportMs, effect: 'read',
})

const change = (verb: string, devices: readonly string[], args: readonly string[], moreConfig = ''): Command => ({
  argv: ['lvm', verb, '-qq', ...config(moreConfig), ...bound(devices), ...args],
  env, timeoutMs: changeMs, effect: 'write',
})

const vgColumns = 'vg_name,vg_uuid,vg_tags,vg_size,vg_free,vg_extent_size,vg_missing_pv_count,vg_autoactivation'

/** Every volume with what is known of its group on each row: one process for a scan. No rows: the group has no volumes. */
export const listVolumes = ({ vg, devices }: VgPlace): Command =>
  report('lvs', devices, `lv_uuid,lv_name,lv_attr,lv_size,lv_tags,pool_lv,data_percent,metadata_percent,lv_health_status,lv_when_full,${vgColumns}`, [vg])

export const listGroup = ({ vg, devices }: VgPlace): Command => report('vgs', devices, vgColumns, [vg])

/** Whether a group of that name is anywhere on this host, on devices of ours or not. Status 5: no. */
export const findGroup = (vg: string): Command => ({ ...report('vgs', undefined, vgColumns, [vg]), accept: [0, 5] })

/** Physical volumes with their groups; of the given devices also those that are none. Absent: of the whole host. */
export const listPhysical = (devices?: readonly string[]): Command =>
  report('pvs', devices, `pv_name,pv_uuid,pv_missing,pv_size,dev_size,pe_start,pv_mda_size,pv_mda_free,lv_count,${vgColumns}`, devices === undefined ? [] : ['-a'])

export const checkGroup = ({ vg, devices }: VgPlace): Command => ({ ...report('vgs', devices, vgColumns, []), argv: ['lvm', 'vgck', ...config(), ...bound(devices), vg] })

/** A physical volume with a uuid of our choice. */
export const createPhysical = (device: string, uuid: string, metadataBytes: number): Command =>
  change('pvcreate', [device], ['--uuid', uuid, '--norestorefile', '--metadatasize', `${metadataBytes}b`, device])

const tagArgs = (add: readonly string[], remove: readonly string[] = []): readonly string[] => [
  ...remove.flatMap((tag) => ['--deltag', tag]),
  ...add.flatMap((tag) => ['--addtag', tag]),
]

/** udev must not activate the group when it appears: only an attach does (lvmautoactivation(7)). */
export const createGroup = ({ vg, devices }: VgPlace, tags: readonly string[]): Command =>
  change('vgcreate', devices, ['--setautoactivation', 'n', ...tagArgs(tags), vg, ...devices])

/** Adds and removes tags in one commit. A tag must not be in both lists. */
export const changeGroupTags = ({ vg, devices }: VgPlace, add: readonly string[], remove: readonly string[]): Command =>
  change('vgchange', devices, [...tagArgs(add, remove), vg])

export const forbidAutoactivation = ({ vg, devices }: VgPlace): Command => change('vgchange', devices, ['--setautoactivation', 'n', vg])

/** Everything in the group becomes inactive; fails for volumes that are open. */
export const deactivateGroup = ({ vg, devices }: VgPlace): Command => change('vgchange', devices, ['--activate', 'n', vg])

/** The physical volume takes all of a device that has grown. */
export const growPhysical = ({ devices }: VgPlace, pv: string): Command => change('pvresize', devices, [pv])

/** New uuids and a new name for a copied group in one commit (vgimportclone(8)); a name that is taken gets a digit more. */
export const importClone = (devices: readonly string[], vg: string): Command => change('vgimportclone', devices, ['--basevgname', vg, ...devices])

/** An inactive volume whose content is whatever was there. */
export const createVolume = ({ vg, devices }: VgPlace, lv: string, bytes: number, tags: readonly string[]): Command =>
  change('lvcreate', devices, ['--activate', 'n', '--wipesignatures', 'n', '--zero', 'n', '--size', `${bytes}b`, '--name', lv, ...tagArgs(tags), vg])

export interface NewPool {
  readonly name: string
  /** Bytes of data; absent: all that is free. */
  readonly bytes?: number
  readonly metadataBytes?: number
  /** Whether writers get ENOSPC at once when the pool is full, or wait for room. */
  readonly errorWhenFull: boolean
  /** Whether freed blocks are also discarded on the devices below. */
  readonly passDiscards: boolean
}

/** An inactive thin pool that hands out zeroed blocks. --errorwhenfull is not taken by lvcreate of 2.03.16; its default setting is. */
export const createPool = ({ vg, devices }: VgPlace, { name, bytes, metadataBytes, errorWhenFull, passDiscards }: NewPool): Command =>
  change('lvcreate', devices, [
    '--activate', 'n', '--type', 'thin-pool', ...(bytes === undefined ? ['--extents', '100%FREE'] : ['--size', `${bytes}b`]),
    ...(metadataBytes === undefined ? [] : ['--poolmetadatasize', `${metadataBytes}b`]),
    '--zero', 'y', '--discards', passDiscards ? 'passdown' : 'nopassdown', '--name', name, vg,
  ], `activation{error_when_full=${errorWhenFull ? 1 : 0}}`)

/** Whether writers get ENOSPC at once when the pool is full, or wait for room. */
export const setWhenFull = ({ vg, devices }: VgPlace, pool: string, fails: boolean): Command =>
  change('lvchange', devices, ['--errorwhenfull', fails ? 'y' : 'n', `${vg}/${pool}`])

/** The pool takes all that is free in the group. */
export const growPool = ({ vg, devices }: VgPlace, pool: string): Command => change('lvextend', devices, ['--extents', '+100%FREE', `${vg}/${pool}`])

export const createThin = ({ vg, devices }: VgPlace, pool: string, lv: string, bytes: number, tags: readonly string[]): Command =>
  change('lvcreate', devices, ['--activate', 'n', '--setactivationskip', 'n', '--virtualsize', `${bytes}b`, '--thinpool', pool, '--name', lv, ...tagArgs(tags), vg])

export const snapshotThin = ({ vg, devices }: VgPlace, source: string, lv: string, permission: 'r' | 'rw', tags: readonly string[]): Command =>
  change('lvcreate', devices, ['--snapshot', '--activate', 'n', '--setactivationskip', 'n', '--permission', permission, '--name', lv, ...tagArgs(tags), `${vg}/${source}`])

/** `discard`: tells the devices below that the space is free. */
export const removeVolume = ({ vg, devices }: VgPlace, lv: string, discard: boolean): Command =>
  change('lvremove', devices, ['--force', `${vg}/${lv}`], discard ? 'devices{issue_discards=1}' : '')

export const renameVolume = ({ vg, devices }: VgPlace, from: string, to: string): Command => change('lvrename', devices, [vg, from, to])

export const growVolume = ({ vg, devices }: VgPlace, lv: string, bytes: number): Command => change('lvextend', devices, ['--size', `${bytes}b`, `${vg}/${lv}`])

/** Adds and removes tags, one commit a volume. A tag must not be in both lists. */
export const changeVolumeTags = ({ vg, devices }: VgPlace, lvs: readonly string[], add: readonly string[], remove: readonly string[]): Command =>
  change('lvchange', devices, [...tagArgs(add, remove), ...lvs.map((lv) => `${vg}/${lv}`)])

/** Of several volumes each becomes active or not by itself. */
export const activateVolumes = ({ vg, devices }: VgPlace, lvs: readonly string[]): Command =>
  change('lvchange', devices, ['--activate', 'y', '--ignoreactivationskip', ...lvs.map((lv) => `${vg}/${lv}`)])

export const deactivateVolumes = ({ vg, devices }: VgPlace, lvs: readonly string[]): Command => change('lvchange', devices, ['--activate', 'n', ...lvs.map((lv) => `${vg}/${lv}`)])
