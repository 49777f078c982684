/**
 * The LUNs that carry a volume group or a file system: logged in to, told by their SCSI ids, claimed on this host and reserved on
 * the array for as long as the SR is attached. What is built on them is the business of other stores.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { isUp } from '../../host/iscsi/sessions.ts'
import { attachLun, detachLun, linksOf } from '../raw-luns/attach.ts'
import { dropClaimsOf, readClaims, type LunClaim } from '../raw-luns/claims.ts'
import { holdKey, registerNewPaths, releaseHold, takeHold, takeOverHold, victimOf } from '../raw-luns/hold.ts'
import { describeLun, works, type Lun } from '../raw-luns/lun.ts'
import { growMaps } from '../raw-luns/open.ts'
import { readLuns, seeLuns, type LunSource } from '../raw-luns/source.ts'
import { choose, isWanted, wantedOf, type LunDconf, type Wanted } from './chosen-luns.ts'
import { connect, disconnect, sessionsOf } from './connect.ts'
import { lunSource, userOf } from './source.ts'
import { targetOf, type Target } from './target.ts'

const layer = 'store:iscsi-targets'

/** How an SR reaches its LUNs: what every step below needs. */
export interface LunPlace {
  readonly driver: string
  readonly target: Target
  readonly wanted: Wanted
  /** Whether the LUNs are reserved on the array. */
  readonly reserves: boolean
  /** All LUNs of the target. */
  readonly source: LunSource
}

export const lunPlace = async (ctx: Ctx, driver: string, dconf: LunDconf): Promise<LunPlace> => {
  const wanted = wantedOf(dconf)
  const target = await targetOf(ctx, dconf)
  return { driver, target, wanted, reserves: dconf.reservation === 'yes', source: { ...lunSource(target, driver), carries: true } }
}

export const keyOf = (ctx: Ctx, { target }: LunPlace): bigint => holdKey(ctx.host.id, target.initiator, ctx.sr)

const claimsOf = async (ctx: Ctx): Promise<readonly (readonly [Lun['vdi'], LunClaim])[]> => [...(await readClaims(ctx))].filter(([, { sr }]) => sr === ctx.sr)

/** LUNs of the SR among those that this host sees: the claimed ones, and without a claim the ones that the dconf means. */
export const ownLuns = async (ctx: Ctx, { source, wanted }: LunPlace): Promise<readonly Lun[]> => {
  const claims = new Set((await claimsOf(ctx)).map(([vdi]) => vdi))
  return (await seeLuns(ctx, source)).luns.filter((lun) => (claims.size === 0 ? isWanted(lun, wanted) : claims.has(lun.vdi)))
}

/** Two hosts that want the same LUNs at the same time meet at the same one first: one of them gets all, the other none. */
const inOrder = (luns: readonly Lun[]): readonly Lun[] => luns.toSorted((a, b) => (a.identity.scsiId < b.identity.scsiId ? -1 : 1))

/** A session that is new beside older ones is a path that the array does not know yet to LUNs which other SRs hold. */
const registerForAll = async (ctx: Ctx, { target, source }: LunPlace): Promise<void> => {
  const { luns } = await seeLuns(ctx, source)
  for (const [vdi, { sr }] of await readClaims(ctx)) {
    const lun = luns.find((one) => one.vdi === vdi && one.paths.some(works))
    if (lun !== undefined) await registerNewPaths(ctx, lun, holdKey(ctx.host.id, target.initiator, sr))
  }
}

const reserveAll = async (ctx: Ctx, place: LunPlace, luns: readonly Lun[], from: string | undefined): Promise<void> => {
  const key = keyOf(ctx, place)
  if (from === undefined) {
    for (const lun of inOrder(luns)) await takeHold(ctx, lun, key)
    return
  }
  // All are proven to be that holder's before the first one changes hands.
  const victims: (readonly [Lun, bigint | undefined])[] = []
  for (const lun of inOrder(luns)) victims.push([lun, await victimOf(ctx, lun, key, from)])
  for (const [lun, victim] of victims) await takeOverHold(ctx, lun, key, victim)
  ctx.log.warn({ from, luns: luns.map(({ identity }) => identity.scsiId) }, 'took the LUNs over from another host')
}

/** A LUN that carries another SR of this host is no place for this one. */
const refuseCarriers = async (ctx: Ctx, { wanted }: LunPlace, luns: readonly Lun[], making: boolean): Promise<void> => {
  const claims = await readClaims(ctx)
  for (const lun of luns) {
    const claim = claims.get(lun.vdi)
    if (claim?.carries !== true || claim.sr === ctx.sr) continue
    throw new StorageError(making ? 'placeNotBlank' : 'identityMismatch', `${describeLun(lun)}, carries SR ${claim.sr} (${claim.driver}), which is attached to this host`, {
      layer, field: `device_config.${wanted.key}`, remedy: making ? 'Choose another LUN; smctl sr probe shows what is on them' : `Use SR ${claim.sr}, or name the LUNs of this one`, details: { scsi_id: claim.scsiId, sr_uuid: claim.sr },
    })
  }
}

const warnOfRest = (ctx: Ctx, { target }: LunPlace) => (left: unknown): void =>
  ctx.log.warn({ target: target.iqn, left: (left as Error).message }, 'LUNs were not fully given back')

/**
 * Logs in and takes the LUNs for this SR; answers names of their devices that last, each proven to lead to its LUN, in the order of
 * the dconf. Steps: 1. login, with its mark; 2. the kernel looks again, and multipath maps grow with their LUNs; 3. a claim for each
 * LUN on this host; 4. the reservation on the array. A failure takes back what was done; a crash is finished by a repeat, or taken
 * back by `releaseLuns`. `from`:
 * a dead host whose reservations are taken over; `making`: for an SR that is not there yet.
 */
export const holdLuns = async (ctx: Ctx, place: LunPlace, { from, making = false }: { readonly from?: string; readonly making?: boolean } = {}): Promise<readonly string[]> => {
  const { target, source, wanted, driver } = place
  const { opened, sessions } = await connect(ctx, target, ctx.sr, userOf(target, driver))
  try {
    if (opened === 0) await source.rescan(ctx)
    else if (opened < sessions.length) await registerForAll(ctx, place)
    let seen = await readLuns(ctx, source)
    if (await growMaps(ctx, seen)) seen = await readLuns(ctx, source)
    const luns = choose(seen.luns, wanted, target)
    await refuseCarriers(ctx, place, luns, making)
    const devices: string[] = []
    for (const lun of luns) devices.push((await attachLun(ctx, source, lun, 'rw')).path)
    if (place.reserves) await reserveAll(ctx, place, luns, from)
    return devices
  } catch (error) {
    // While something is built on them they are refused: then they stay held.
    await releaseLuns(ctx, place).catch(warnOfRest(ctx, place))
    throw error
  }
}

/**
 * Gives the LUNs back, and logs out unless another SR needs the session; what is gone is done. busy: something is built on a LUN.
 * Steps: 1. each LUN is flushed and its claim dropped; 2. the reservation ends, unless another host has it by now; 3. logout.
 * Recovery: a repeat; it finds reservations of its key by the dconf when the claims are gone. A target that does not answer keeps
 * its reservation: the next attach of this host takes it up again, another host's needs an operator's word.
 */
export const releaseLuns = async (ctx: Ctx, place: LunPlace): Promise<void> => {
  const { source, target } = place
  const luns = await ownLuns(ctx, place)
  for (const [vdi] of await claimsOf(ctx)) await detachLun(ctx, source, vdi)
  await dropClaimsOf(ctx, ctx.sr)
  if (place.reserves) {
    for (const lun of luns) {
      if (lun.paths.some(works)) await releaseHold(ctx, lun, keyOf(ctx, place))
      else ctx.log.warn({ scsi_id: lun.identity.scsiId }, 'no path to the LUN works: if this host had reserved it, the array keeps that')
    }
  }
  await disconnect(ctx, target, ctx.sr)
}

/** Holds the LUNs while `work` runs: for what is done to an SR that is not attached. */
export const withLuns = async <T>(ctx: Ctx, place: LunPlace, making: boolean, work: (devices: readonly string[]) => Promise<T>): Promise<T> => {
  const devices = await holdLuns(ctx, place, { making })
  let result: T
  try {
    result = await work(devices)
  } catch (error) {
    await releaseLuns(ctx, place).catch(warnOfRest(ctx, place))
    throw error
  }
  await releaseLuns(ctx, place)
  return result
}

/** Names of the devices that are held, in the order of the dconf where that is known; also of those that do not answer any more. */
const heldDevices = async (ctx: Ctx, { source, wanted }: LunPlace): Promise<readonly string[]> => {
  const { luns } = await seeLuns(ctx, source)
  const rank = ({ scsiId, number }: LunClaim): number => wanted.values.findIndex((value) => (wanted.key === 'SCSIid' ? scsiId.toLowerCase() === value.toLowerCase() : number === Number(value)))
  const claims = (await claimsOf(ctx)).toSorted(([, a], [, b]) => rank(a) - rank(b))
  return Promise.all(claims.map(async ([vdi, claim]) => {
    const lun = luns.find((one) => one.vdi === vdi)
    const links = lun === undefined ? [] : linksOf(lun, lun.map)
    for (const link of links) if ((await ctx.host.files.stat(link)) !== undefined) return link
    return links[0] ?? `/dev/disk/by-id/scsi-${claim.scsiId}`
  }))
}

/** The devices of an attached SR; placeMissing when this host does not hold all of them, unreachable when the target does not answer. */
export const needDevices = async (ctx: Ctx, place: LunPlace): Promise<readonly string[]> => {
  const devices = await heldDevices(ctx, place)
  // A detach that died may have given back some of them.
  if (devices.length < place.wanted.values.length) {
    throw new StorageError('placeMissing', `This host does not hold ${devices.length === 0 ? 'the LUNs' : 'all LUNs'} of SR ${ctx.sr}`, { layer, remedy: `smctl sr detach ${ctx.sr} && smctl sr attach ${ctx.sr}`, details: { sr_uuid: ctx.sr } })
  }
  await place.source.needTarget(ctx)
  return devices
}

/** Whether any session to the target is up: without one every command that touches its disks waits for nothing. */
export const answersNow = async (ctx: Ctx, { target }: LunPlace): Promise<boolean> => (await sessionsOf(ctx, target)).some(isUp)
