/** What is on the LUNs of a target, for the probes of drivers that put a volume group or a file system on them. */
import type { Candidate, Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { formatSize } from '../../core/units.ts'
import { waitForLink } from '../../host/scsi/actions.ts'
import { linksOf } from '../raw-luns/attach.ts'
import { nameOfHolder } from '../raw-luns/hold.ts'
import { describeLun, works, type Lun } from '../raw-luns/lun.ts'
import { choose, wantedOf, type Wanted } from './chosen-luns.ts'
import type { LookAtLuns } from './probe.ts'
import { inWords } from './words.ts'

type LookAtDevices = (ctx: Ctx, devices: readonly string[]) => Promise<ProbeResult>

const describe = ({ identity, ...lun }: Lun): string => {
  const [{ disk }] = lun.paths
  return `${describeLun({ identity, ...lun })}${disk.serial === undefined ? '' : `, serial ${disk.serial}`}, ${formatSize(lun.size)}`
}

/** LUNs that were chosen together are one place; else each is looked at, and those that turn out to be parts of one SR again together. */
export const lookAtLuns = (type: string, ctx: Ctx, partial: DeviceConfig, look: LookAtDevices): LookAtLuns => async (luns, target) => {
  const { SCSIid, LUNid, ...rest } = partial
  const wanted: Wanted | undefined = SCSIid === undefined && LUNid === undefined ? undefined : wantedOf({ ...(SCSIid === undefined ? {} : { SCSIid }), ...(LUNid === undefined ? {} : { LUNid }) })
  const tried: ProbeResult['tried'][number][] = []

  const lookAt = async (group: readonly Lun[]): Promise<readonly Candidate[]> => {
    ctx.signal.throwIfAborted()
    const holders = new Set<string>()
    for (const lun of group) {
      const holder = lun.paths.some(works) ? await nameOfHolder(ctx, lun) : undefined
      if (holder !== undefined) holders.add(holder)
    }
    const devices: string[] = []
    for (const lun of group) devices.push(await waitForLink(ctx, linksOf(lun, lun.map)))
    const found = await look(ctx, devices)
    tried.push(...found.tried)
    const named = wanted?.key === 'LUNid' ? { LUNid: group.map(({ number }) => number).join(',') } : { SCSIid: group.map(({ identity }) => identity.scsiId).join(',') }
    const held = holders.size === 0 ? '' : `; held by ${[...holders].join(', ')}`
    return found.candidates.map((candidate): Candidate => ({
      ...candidate, deviceConfig: { ...rest, ...named },
      says: `${group.map(describe).join('; ')}: ${inWords({ type, key: wanted?.key ?? 'SCSIid' }, candidate.says)}${held}`,
    }))
  }

  if (wanted !== undefined) return { candidates: await lookAt(choose(luns, wanted, target)), tried }
  const seen: { readonly lun: Lun; readonly candidates: readonly Candidate[] }[] = []
  for (const lun of luns) seen.push({ lun, candidates: await lookAt([lun]) })
  const parts = new Map<string, Lun[]>()
  for (const { lun, candidates } of seen) {
    for (const { found, complete, sr } of candidates) {
      if (found === 'sr' && !complete && sr?.uuid !== undefined) parts.set(sr.uuid, [...(parts.get(sr.uuid) ?? []), lun])
    }
  }
  const joined = [...parts.values()].filter((group) => group.length > 1)
  const alone = seen.filter(({ lun }) => !joined.some((group) => group.includes(lun))).flatMap(({ candidates }) => candidates)
  const together: Candidate[] = []
  for (const group of joined) together.push(...(await lookAt(group)))
  return { candidates: [...alone, ...together], tried }
}
