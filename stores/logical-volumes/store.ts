/** What the operations on an opened SR share: where it is, its reports, its changes. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { VgPlace } from '../../host/lvm/build.ts'
import type { Changes } from './change.ts'
import { sortOut, type Contents, type VdiVolume } from './contents.ts'
import type { VolumePlace } from './place.ts'
import type { Report, Reports } from './report.ts'

export interface Store {
  readonly place: VolumePlace
  readonly at: VgPlace
  readonly reports: Reports
  readonly change: Changes
}

export const contentsOf = async (store: Store, ctx: Ctx): Promise<Contents & { readonly report: Report }> => {
  const report = await store.reports.of(ctx)
  return { ...sortOut(report), report }
}

/** The engine has seen it already; here it is proven again, from the same report. */
export const findVdi = ({ vdis }: Contents, ctx: Ctx, vdi: VdiUuid): VdiVolume => {
  const found = vdis.get(vdi)
  if (found !== undefined) return found
  throw new StorageError('notFound', `There is no VDI ${vdi} in SR ${ctx.sr}`, { layer: 'store:logical-volumes', field: 'vdi_uuid', remedy: `smctl sr scan ${ctx.sr} lists what is there`, details: { sr_uuid: ctx.sr, vdi_uuid: vdi } })
}

export const volumeIn = (report: Report, name: string) => report.volumes.find((volume) => volume.name === name)

export const hasTags = (report: Report, name: string, present: readonly string[], absent: readonly string[] = []): boolean => {
  const tags = volumeIn(report, name)?.tags
  return tags !== undefined && present.every((tag) => tags.includes(tag)) && !absent.some((tag) => tags.includes(tag))
}
