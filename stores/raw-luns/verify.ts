/** Looks for LUNs that are not what this host takes them for. Repair only takes dead disks away and makes the kernel look again. */
import type { Ctx, Finding } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { askIdentity, deleteDisk } from '../../host/scsi/actions.ts'
import { readMaps } from '../../host/multipath/maps.ts'
import { readClaims } from './claims.ts'
import { describeLun, isDead, vanishedVdi, works, type Lun, type LunPath } from './lun.ts'
import { readLuns, type LunSource } from './source.ts'

type Repair = 'no' | 'dry-run' | 'yes'

/** A path whose disk states another identity than the kernel remembers: the array has given its number to another LUN. */
const strangers = async (ctx: Ctx, lun: Lun): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  for (const { disk, via } of lun.paths.filter(works)) {
    const names = await askIdentity(ctx, disk.node)
    if (names.includes(lun.identity.name)) continue
    findings.push({
      vdi: lun.vdi, where: `${disk.node} via ${via}`, weight: 'damage', repaired: false,
      what: `It was ${lun.identity.name} and is ${names.join(', ') || 'without identity'} now: the array gave LUN ${disk.lun} to another disk. Whoever has it open writes to the wrong one`,
    })
  }
  return findings
}

const deadDisks = async (ctx: Ctx, paths: readonly LunPath[], repair: Repair): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  for (const { disk, via } of paths.filter(isDead)) {
    const free = disk.holders.length === 0
    if (repair === 'yes' && free) await deleteDisk(ctx, disk)
    findings.push({
      where: `${disk.node} via ${via}`, weight: 'repairable', repaired: free && repair !== 'no',
      what: `The target does not offer LUN ${disk.lun} any more, but its disk is still there and answers reads with nothing${free ? '' : `; ${disk.holders.join(', ')} is built on it`}`,
    })
  }
  return findings
}

const badPaths = async (ctx: Ctx, luns: readonly Lun[]): Promise<readonly Finding[]> => {
  const maps = luns.some(({ map }) => map !== undefined) ? await readMaps(ctx) : []
  if (maps === undefined) return [{ where: 'multipathd', weight: 'damage', what: 'There are multipath maps, but the daemon that watches their paths does not run: systemctl start multipathd', repaired: false }]
  const checked = new Map(maps.flatMap(({ paths }) => paths.map(({ disk, checked: state }) => [disk, state] as const)))
  return luns.flatMap((lun) => lun.paths.flatMap((path): readonly Finding[] => {
    const state = checked.get(path.disk.name)
    if (works(path) && (state === undefined || state === 'ready' || state === 'ghost')) return []
    return [{ vdi: lun.vdi, where: `${path.disk.node} via ${path.via}`, weight: 'damage', what: `This path to ${describeLun(lun)} does not work: ${path.up ? `disk ${path.disk.state}` : 'its session is down'}${state === undefined ? '' : `, multipathd says ${state}`}`, repaired: false }]
  }))
}

export const verifyLuns = async (ctx: Ctx, source: LunSource, vdi: VdiUuid | undefined, repair: Repair): Promise<readonly Finding[]> => {
  const { luns, paths } = await readLuns(ctx, source)
  const wanted = luns.filter((lun) => vdi === undefined || lun.vdi === vdi)
  const findings: Finding[] = []
  for (const lun of wanted) findings.push(...(await strangers(ctx, lun)))
  findings.push(...(await badPaths(ctx, wanted)))
  const claims = await readClaims(ctx)
  for (const [claimed, claim] of claims) {
    if (claim.sr !== ctx.sr || (vdi !== undefined && vdi !== claimed) || luns.some((lun) => lun.vdi === claimed)) continue
    findings.push({ vdi: claimed, where: `LUN ${claim.number}`, weight: 'damage', what: vanishedVdi(claimed, claim).problem?.message ?? '', repaired: false })
  }
  if (vdi !== undefined) return findings
  findings.push(...(await deadDisks(ctx, paths, repair)))
  for (const { disk, via } of paths) {
    if (disk.identity !== undefined || disk.size === 0) continue
    findings.push({ where: `${disk.node} via ${via}`, weight: 'note', what: `LUN ${disk.lun} states no identity (VPD page 83): it cannot be told from another one, and is not offered as a VDI`, repaired: false })
  }
  findings.push(...(await source.verify(ctx, repair)))
  if (repair === 'yes' && findings.some(({ what }) => what.includes('to another disk'))) await source.rescan(ctx)
  return findings
}
