/** An SR whose VDIs are LUNs: they are made, grown and deleted on the array; this host lists, hands out and locks them. */
import type { Ctx, SrCore, SrStat, SrWith, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { resizeMap } from '../../host/multipath/maps.ts'
import { deleteDisk } from '../../host/scsi/actions.ts'
import { attachLun, detachLun } from './attach.ts'
import { readClaim, readClaims, type LunClaim } from './claims.ts'
import { lockLun, readLunLock, unlockLun } from './locks.ts'
import { isDead, vanishedVdi, vdiOf, works, type Lun, type LunPath } from './lun.ts'
import { readLuns, type LunSource, type SeenLuns } from './source.ts'
import { verifyLuns } from './verify.ts'

export const rawLunFeatures = ['lock', 'verify'] as const
type RawLunSr = SrCore & SrWith<(typeof rawLunFeatures)[number]> & { readonly features: typeof rawLunFeatures }

/** Asking each LUN for its reservation starts a process: so many at once. */
const asking = 4

const inParallel = async <T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> => {
  const results = new Map<number, R>()
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results.set(index, await work(item))
  }
  await Promise.all(Array.from({ length: asking }, worker))
  return items.flatMap((_, index) => (results.has(index) ? [results.get(index) as R] : []))
}

const totals = (luns: readonly Lun[], names: Pick<SrStat, 'name' | 'description'>): SrStat => {
  const size = luns.reduce((sum, lun) => sum + lun.size, 0)
  return { physicalSize: size, physicalUtilisation: size, free: 0, ...names }
}

/** Disks that the kernel has found gone and nobody here uses. Left alone they would answer reads with nothing. */
const clearDead = async (ctx: Ctx, paths: readonly LunPath[], claims: ReadonlyMap<VdiUuid, LunClaim>): Promise<void> => {
  const claimed = new Set([...claims.values()].map(({ scsiId }) => scsiId))
  for (const { disk } of paths.filter(isDead)) {
    if (disk.holders.length > 0 || (disk.identity !== undefined && claimed.has(disk.identity.scsiId))) continue
    ctx.log.info({ disk: disk.name, lun: disk.lun, identity: disk.identity?.name ?? null }, 'the target does not offer this LUN any more; its disk is taken out of the system')
    await deleteDisk(ctx, disk)
  }
}

/** Maps whose paths all have grown to one size. A map never shrinks by itself. */
export const growMaps = async (ctx: Ctx, { luns }: SeenLuns): Promise<boolean> => {
  let grown = false
  for (const { map, paths } of luns) {
    if (map === undefined) continue
    const sizes = new Set(paths.filter(works).map(({ disk }) => disk.size))
    const [size] = sizes
    if (sizes.size !== 1 || size === undefined || size <= map.size) continue
    await resizeMap(ctx, map.map)
    grown = true
  }
  return grown
}

export const openRawLuns = (source: LunSource): RawLunSr => {
  const rowOf = async (ctx: Ctx, lun: Lun, claim: LunClaim | undefined): Promise<VdiRecord> => {
    const row = vdiOf(lun, claim, ctx.sr)
    const lock = lun.paths.some(works) ? await readLunLock(ctx, lun) : undefined
    return lock === undefined ? row : { ...row, lock }
  }

  /** The LUN of a VDI. Absent is proven by asking the target anew. */
  const find = async (ctx: Ctx, vdi: VdiUuid): Promise<Lun | undefined> => {
    const seen = (await readLuns(ctx, source)).luns.find((lun) => lun.vdi === vdi)
    if (seen !== undefined) return seen
    await source.rescan(ctx)
    return (await readLuns(ctx, source)).luns.find((lun) => lun.vdi === vdi)
  }

  const need = async (ctx: Ctx, vdi: VdiUuid): Promise<Lun> => {
    const lun = await find(ctx, vdi)
    if (lun !== undefined) return lun
    throw new StorageError('notFound', `No LUN of ${source.target} is VDI ${vdi}`, { layer: 'store:raw-luns', field: 'vdi_uuid', remedy: `smctl sr scan ${ctx.sr} lists them` })
  }

  return {
    features: rawLunFeatures,
    stat: async (ctx) => totals((await readLuns(ctx, source)).luns, source.names),

    async scan(ctx) {
      await source.rescan(ctx)
      let seen = await readLuns(ctx, source)
      const claims = await readClaims(ctx)
      await clearDead(ctx, seen.paths, claims)
      if (await growMaps(ctx, seen)) seen = await readLuns(ctx, source)
      const rows = await inParallel(seen.luns, async (lun) => rowOf(ctx, lun, claims.get(lun.vdi)))
      const offered = new Set(seen.luns.map(({ vdi }) => vdi))
      const vanished = [...claims].filter(([vdi, claim]) => claim.sr === ctx.sr && !offered.has(vdi)).map(([vdi, claim]) => vanishedVdi(vdi, claim))
      const vdis = [...rows, ...vanished]
      return { stat: totals(seen.luns, source.names), virtualAllocation: vdis.reduce((sum, row) => sum + row.size, 0), vdis }
    },

    async vdi(ctx, vdi) {
      const lun = await find(ctx, vdi)
      const claim = await readClaim(ctx, vdi)
      if (lun !== undefined) return rowOf(ctx, lun, claim)
      return claim?.sr === ctx.sr ? vanishedVdi(vdi, claim) : undefined
    },

    attach: async (ctx, vdi, mode) => attachLun(ctx, source, await need(ctx, vdi), mode),
    detach: async (ctx, vdi) => detachLun(ctx, source, vdi),
    recover: async (ctx) => source.reconnect(ctx),
    close: async () => undefined,

    readLock: async (ctx, vdi) => readLunLock(ctx, await need(ctx, vdi)),
    lock: async (ctx, vdi, want) => lockLun(ctx, await need(ctx, vdi), want),
    unlock: async (ctx, vdi, owner) => unlockLun(ctx, await need(ctx, vdi), owner),

    verify: async (ctx, vdi, repair) => verifyLuns(ctx, source, vdi, repair),
    orphans: async (ctx) => source.orphans(ctx),
  }
}
