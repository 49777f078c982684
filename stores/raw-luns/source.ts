/** Where the LUNs of an SR come from: what a driver knows of its transport, and the store does not. */
import type { Ctx, Finding, Orphan, Recovery, SrStat } from '../../core/contract.ts'
import { mapOn, type MapDevice } from '../../host/scsi/disks.ts'
import { lunsOf, type Lun, type LunPath } from './lun.ts'

/** Where this host sees them: enough to hand one out and to take it back. */
export interface SeenFrom {
  /** SR type, for marks and messages. */
  readonly driver: string
  /** What lies on its LUNs is the SR; else each of them is a VDI. */
  readonly carries?: boolean
  /** Name of the target; tells LUNs with weak identities apart. */
  readonly target: string
  /** `yes`: a LUN is handed out through its multipath map only; `auto`: through its map when there is one. */
  readonly multipath: 'yes' | 'no' | 'auto'
  /** All paths, also those that do not work. */
  paths(ctx: Ctx): Promise<readonly LunPath[]>
}

export interface LunSource extends SeenFrom {
  readonly names: Pick<SrStat, 'name' | 'description'>
  /** Fails with unreachable when no way to the target works: what is then seen says nothing about what is there. */
  needTarget(ctx: Ctx): Promise<void>
  /** Makes the kernel look again at what the target offers. */
  rescan(ctx: Ctx): Promise<void>
  /** Brings back the way to the target when this host has lost it. */
  reconnect(ctx: Ctx): Promise<Recovery>
  verify(ctx: Ctx, repair: 'no' | 'dry-run' | 'yes'): Promise<readonly Finding[]>
  orphans(ctx: Ctx): Promise<readonly Orphan[]>
}

export interface SeenLuns {
  readonly luns: readonly Lun[]
  readonly paths: readonly LunPath[]
}

/** What this host sees now, whether or not the target answers. */
export const seeLuns = async (ctx: Ctx, source: SeenFrom): Promise<SeenLuns> => {
  const paths = await source.paths(ctx)
  const maps = await Promise.all(paths.map(async ({ disk }): Promise<readonly (readonly [string, MapDevice])[]> => {
    const map = await mapOn(ctx.host.files, disk)
    return map === undefined ? [] : [[disk.name, map]]
  }))
  return { luns: lunsOf(source.target, paths, new Map(maps.flat())), paths }
}

/** As `seeLuns`, when the target answers. */
export const readLuns = async (ctx: Ctx, source: LunSource): Promise<SeenLuns> => {
  await source.needTarget(ctx)
  return seeLuns(ctx, source)
}
