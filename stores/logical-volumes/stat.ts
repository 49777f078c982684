/** How full an SR is, what is in it, and what needs attention. */
import type { Ctx, SrContents, SrStat } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize } from '../../core/units.ts'
import type { LogicalVolume } from '../../host/lvm/parse.ts'
import { recordOf, type Contents } from './contents.ts'
import { activatePool } from './recover.ts'
import { groupTags, type Report } from './report.ts'
import { contentsOf, type Store } from './store.ts'

/** Used parts of a pool from which on it is told; metadata that runs full stops everything, so it is told earlier. */
const warnAt = { data: 0.8, metadata: 0.75 }

const percent = (part: number): string => `${Math.floor(part * 100)} %`

const poolWarnings = (pool: LogicalVolume, allocated: number): readonly string[] => {
  const { dataUsed = 0, metadataUsed = 0, attributes, size } = pool
  return [
    ...(attributes.pool === undefined ? [] : [`The thin pool ${attributes.pool === 'failed' ? 'has failed' : attributes.pool === 'needs a check' ? 'needs a check' : `is stopped: ${attributes.pool}`}; see lvmthin(7)`]),
    ...(dataUsed < warnAt.data ? [] : [`The thin pool is ${percent(dataUsed)} full: ${formatSize(size - Math.round(dataUsed * size))} are left${allocated > size ? `, and its VDIs may grow to ${formatSize(allocated)} in all` : ''}`]),
    ...(metadataUsed < warnAt.metadata ? [] : [`The metadata of the thin pool is ${percent(metadataUsed)} full; enlarge it with lvextend --poolmetadatasize before it stops`]),
  ]
}

const warningsOf = ({ group }: Report, { pool }: Contents, allocated: number): readonly string[] => [
  ...(groupTags(group).state === 'removing' ? ['The SR is being deleted'] : []),
  ...(group.missing > 0 ? [`${group.missing} physical volume${group.missing === 1 ? ' is' : 's are'} missing from volume group ${group.name}`] : []),
  ...(pool === undefined ? [] : poolWarnings(pool, allocated)),
]

/** Warnings that were told in the log of this process: each once, until it changes. */
export type Told = Set<string>

export const statOf = (store: Store, ctx: Ctx, told: Told, contents: Contents & { readonly report: Report }): SrStat => {
  const { report, pool, vdis } = contents
  const { group } = report
  const { name, description, state } = groupTags(group)
  const allocated = [...vdis.values()].reduce((sum, { volume }) => sum + volume.size, 0)
  const warnings = warningsOf(report, contents, allocated)
  for (const warning of warnings.filter((text) => !told.has(text))) {
    told.add(warning)
    ctx.log.warn({ vg: group.name }, warning)
  }
  const rest = { name, description, ...(warnings.length === 0 ? {} : { warnings }) }
  if (store.place.kind === 'thick' || pool === undefined || state === 'removing') {
    return { physicalSize: group.size, physicalUtilisation: group.size - group.free, free: group.free, ...rest }
  }
  if (pool.dataUsed === undefined) {
    throw new StorageError('ioError', `The thin pool of SR ${ctx.sr} is not active, so its use cannot be told`, { layer: 'store:logical-volumes', remedy: `Attach the SR again: smctl sr attach ${ctx.sr}` })
  }
  const used = Math.round(pool.dataUsed * pool.size)
  return { physicalSize: pool.size, physicalUtilisation: used, free: pool.size - used, ...rest }
}

export const scanOf = async (store: Store, ctx: Ctx, told: Told): Promise<SrContents> => {
  await activatePool(store, ctx)
  const contents = await contentsOf(store, ctx)
  const vdis = [...contents.vdis.values()].map((found) => recordOf(found, contents.pool))
  return { stat: statOf(store, ctx, told, contents), virtualAllocation: vdis.reduce((sum, vdi) => sum + vdi.size, 0), vdis }
}
