/** Handing a LUN out as a VDI, and taking it back. Nothing is written to the LUN. */
import type { Attachment, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { readMounts } from '../../host/mount/mountinfo.ts'
import { waitForMap } from '../../host/multipath/maps.ts'
import { proveIdentity, waitForLink } from '../../host/scsi/actions.ts'
import { flushCommand, openersCommand, setReadOnlyCommand } from '../../host/scsi/build.ts'
import { attribute, type MapDevice } from '../../host/scsi/disks.ts'
import { parseOpeners } from '../../host/scsi/parse.ts'
import { claimLun, dropClaim, readClaim, updateClaim, type LunClaim } from './claims.ts'
import { renewLunLock } from './locks.ts'
import { describeLun, works, type Lun } from './lun.ts'
import { seeLuns, type SeenFrom } from './source.ts'

const layer = 'store:raw-luns'

export const rawContentType = 'aio'

/** Kernel nodes of a LUN: what is read and written goes through the map, or else through any of its paths. */
const nodesOf = (lun: Lun): readonly string[] => (lun.map === undefined ? lun.paths.map(({ disk }) => disk.node) : [lun.map.node])

/** Names in /dev that stay, best first. */
export const linksOf = (lun: Lun, map: MapDevice | undefined): readonly string[] => {
  if (map !== undefined) return [`/dev/disk/by-id/dm-uuid-mpath-${map.wwid}`, `/dev/mapper/${map.map}`]
  if (lun.identity.weak) return lun.paths.filter(works).map(({ link }) => link)
  const [, kind, value] = /^(naa|eui)\.(.+)$/.exec(lun.identity.name) ?? []
  return [...(kind === undefined ? [] : [`/dev/disk/by-id/wwn-0x${value ?? ''}`]), `/dev/disk/by-id/scsi-${lun.identity.scsiId}`]
}

/** What the kernel itself has built on a LUN, in words; undefined when nothing is. */
const builtOn = async (ctx: Ctx, lun: Lun): Promise<string | undefined> => {
  const [holder] = lun.map === undefined ? lun.paths.flatMap(({ disk }) => disk.holders) : lun.map.holders
  if (holder !== undefined) return `${(await attribute(ctx.host.files, `/sys/block/${holder}/dm/name`)) ?? holder} is built on it`
  const devices = new Set([...lun.paths.map(({ disk }) => disk.device), ...(lun.map === undefined ? [] : [lun.map.device])])
  const mount = (await readMounts(ctx.host.files)).find(({ device }) => devices.has(device))
  return mount === undefined ? undefined : `it is mounted on ${mount.mountPoint}`
}

/** They look at every disk, for a moment or for ever, and are no users of it. */
const onlookers: readonly (string | undefined)[] = ['systemd-udevd', '(udev-worker)', 'udevd', 'multipathd']

/** Which processes have it open, in words. */
const openedBy = async (ctx: Ctx, nodes: readonly string[]): Promise<string | undefined> => {
  if (nodes.length === 0) return undefined
  const pids = parseOpeners((await ctx.host.run(openersCommand(nodes), ctx.signal)).stdout)
  const named = await Promise.all(pids.map(async (pid) => ({ pid, name: await attribute(ctx.host.files, `/proc/${pid}/comm`) })))
  const users = named.filter(({ name }) => !onlookers.includes(name))
  return users.length === 0 ? undefined : `${users.slice(0, 5).map(({ pid, name }) => `process ${pid}${name === undefined ? '' : ` (${name})`}`).join(', ')} has it open`
}

const inUse = (vdi: VdiUuid, lun: Lun, by: string): StorageError =>
  new StorageError('busy', `${describeLun(lun)}, is in use on this host: ${by}`, { layer, remedy: 'Let its user close, unmount or deactivate it first', details: { vdi_uuid: vdi } })

/** The map to hand out. It comes some time after the disks; `auto` goes on without one when it does not come. */
const mapFor = async (ctx: Ctx, source: SeenFrom, lun: Lun): Promise<MapDevice | undefined> => {
  const expected = source.multipath === 'yes' || (source.multipath === 'auto' && lun.paths.length > 1)
  if (lun.map !== undefined || !expected) return lun.map
  const [first] = lun.paths
  try {
    return await waitForMap(ctx, first.disk, async () => (await seeLuns(ctx, source)).paths.find(({ disk }) => disk.directory === first.disk.directory)?.disk)
  } catch (error) {
    if (source.multipath === 'yes' || !(error instanceof StorageError) || error.kind !== 'toolFailed') throw error
    ctx.log.warn({ vdi: lun.vdi, paths: lun.paths.length }, `${error.message}; it is handed out over one path`)
    return undefined
  }
}

/**
 * `vdi` is what it is called to the caller, where that is not the uuid of the LUN.
 * Steps: 1. claim the LUN on this host; 2. find its steady name; 3. ask the disk behind that name who it is; 4. let the kernel
 * refuse writes, for `ro`; 5. register this host's paths again when it holds the VDI's lock. A repeat goes through all of them
 * again; after a crash the claim stays until the VDI or the SR is detached.
 */
export const attachLun = async (ctx: Ctx, source: SeenFrom, lun: Lun, mode: 'ro' | 'rw', vdi = lun.vdi): Promise<Attachment> => {
  const claim: LunClaim = { sr: ctx.sr, driver: source.driver, scsiId: lun.identity.scsiId, number: lun.number, size: lun.size, ...(source.carries === undefined ? {} : { carries: source.carries }) }
  const fresh = await claimLun(ctx, lun.vdi, claim)
  try {
    const user = fresh ? await builtOn(ctx, lun) : undefined
    if (user !== undefined) throw inUse(vdi, lun, user)
    const map = await mapFor(ctx, source, lun)
    const path = await waitForLink(ctx, linksOf(lun, map))
    await proveIdentity(ctx, path, lun.identity)
    await setMode(ctx, { ...lun, map }, claim, mode)
    await renewLunLock(ctx, lun)
    return {
      path, contentType: rawContentType,
      driverData: { scsi_id: lun.identity.scsiId, lun: String(lun.number), target: lun.target, via: lun.paths.map(({ via }) => via).join(',') },
    }
  } catch (error) {
    if (fresh) await dropClaim(ctx, lun.vdi, ctx.sr)
    throw error
  }
}

/** The claim tells first: a crash may leave a disk read-only, but never without anybody who knows why. */
const setMode = async (ctx: Ctx, lun: Lun, claim: LunClaim, mode: 'ro' | 'rw'): Promise<void> => {
  const made = (await readClaim(ctx, lun.vdi))?.madeReadOnly === true
  const isReadOnly = lun.map?.readOnly ?? lun.paths.every(({ disk }) => disk.readOnly)
  if (mode === 'ro' && !isReadOnly) {
    await updateClaim(ctx, lun.vdi, { ...claim, madeReadOnly: true })
    for (const node of nodesOf(lun)) await ctx.host.run(setReadOnlyCommand(node, true), ctx.signal)
  }
  if (mode === 'rw' && made) await makeWritable(ctx, lun, claim)
}

const makeWritable = async (ctx: Ctx, lun: Lun, claim: LunClaim): Promise<void> => {
  for (const node of nodesOf(lun)) await ctx.host.run(setReadOnlyCommand(node, false), ctx.signal)
  await updateClaim(ctx, lun.vdi, { ...claim, madeReadOnly: false })
}

/** A disk whose session is down answers nothing, and nothing can be done with it that would be worth waiting for. */
const flush = async (ctx: Ctx, lun: Lun): Promise<void> => {
  if (!lun.paths.some(works)) {
    ctx.log.warn({ vdi: lun.vdi }, 'no path to the LUN works; it is let go of without a flush')
    return
  }
  for (const node of lun.map === undefined ? lun.paths.filter(works).map(({ disk }) => disk.node) : [lun.map.node]) {
    await ctx.host.run(flushCommand(node), ctx.signal).catch((error: unknown) => {
      throw new StorageError('ioError', `What was written to ${describeLun(lun)} cannot be flushed: ${(error as Error).message}`, {
        layer, cause: error, mayHaveChanged: true, remedy: 'See to its paths and the kernel log of this host, then detach it again; what was acknowledged to its user as flushed is safe',
      })
    })
  }
}

/**
 * Steps: 1. refuse while it is in use; 2. flush; 3. writable again; 4. drop the claim. A LUN that is gone has none of the first
 * three; repeated after a crash, each is done or done again.
 */
export const detachLun = async (ctx: Ctx, source: SeenFrom, vdi: VdiUuid, called = vdi): Promise<void> => {
  const claim = await readClaim(ctx, vdi)
  if (claim !== undefined && claim.sr !== ctx.sr) return
  const lun = (await seeLuns(ctx, source)).luns.find((one) => one.vdi === vdi)
  if (lun !== undefined && claim !== undefined) {
    const user = (await builtOn(ctx, lun)) ?? (await openedBy(ctx, [...lun.paths.map(({ disk }) => disk.node), ...(lun.map === undefined ? [] : [lun.map.node])]))
    if (user !== undefined) throw inUse(called, lun, user)
    if (claim.madeReadOnly === true) await makeWritable(ctx, lun, claim)
    else await flush(ctx, lun)
  }
  await dropClaim(ctx, vdi, ctx.sr)
}
