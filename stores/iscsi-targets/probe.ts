/** Probing a target step by step: which portals answer, which targets they offer, which LUNs are behind the one that was chosen. */
import type { Candidate, Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize } from '../../core/units.ts'
import { formatPortal } from '../../host/iscsi/portal.ts'
import { describeLun, type Lun } from '../raw-luns/lun.ts'
import { seeLuns } from '../raw-luns/source.ts'
import { withTarget } from './connect.ts'
import { chapOf, namedPortals, type TargetDconf } from './dconf.ts'
import { lunSource } from './source.ts'
import { discoverAll, portalsOf, targetOf, type Target } from './target.ts'

export interface Step {
  readonly step: string
  readonly said: string
}

const sayFailure = (error: unknown): string => {
  if (!(error instanceof StorageError)) throw error
  return `${error.message}${error.facts.remedy === undefined ? '' : ` (${error.facts.remedy})`}`
}

/** Looks at the LUNs of one target, and makes candidates of them. */
export type LookAtLuns = (luns: readonly Lun[], target: Target) => Promise<{ readonly candidates: readonly Candidate[]; readonly tried: readonly Step[] }>

/**
 * `parse` completes a dconf that names a target. Every step tells what it said, also when it failed: an empty list without a
 * cause helps nobody. Nothing is written anywhere; a login that was not there before is taken back.
 */
export const probeTarget = async (ctx: Ctx, driver: string, partial: DeviceConfig, parse: (raw: DeviceConfig) => TargetDconf, look: LookAtLuns): Promise<ProbeResult> => {
  const { target: named, targetIQN } = partial
  if (named === undefined) return { candidates: [], tried: [{ step: 'target', said: 'It is missing: name a portal of the array, as in target=192.0.2.10' }] }
  const portals = namedPortals({ target: named, port: partial['port'] })
  const discovery = await discoverAll(ctx, portals, chapOf(partial))
  const tried: Step[] = [...discovery.tried]
  if (targetIQN === undefined) {
    const targets = [...new Set(discovery.found.map(({ iqn }) => iqn))]
    return {
      tried,
      candidates: targets.map((iqn) => {
        const at = discovery.found.filter((one) => one.iqn === iqn)
        return {
          deviceConfig: { ...partial, targetIQN: iqn }, complete: false, found: 'unknown',
          says: `Target ${iqn} at ${at.map((one, index) => `${index + 1}: ${formatPortal(one)}`).join(', ')}; probe with targetIQN=${iqn} to see its LUNs`,
        }
      }),
    }
  }
  try {
    const target = await targetOf(ctx, parse(partial))
    portalsOf(target, discovery)
    return await withTarget(ctx, target, driver, async ({ sessions, opened }) => {
      tried.push({ step: `login to ${target.iqn}`, said: `${opened === 0 ? 'logged in already' : 'logged in for this look'}, as ${target.initiator}, at ${sessions.map(({ portal }) => formatPortal(portal)).join(', ')}` })
      const { luns, paths } = await seeLuns(ctx, lunSource(target, driver))
      for (const lun of luns) tried.push({ step: `LUN ${lun.number}`, said: `${describeLun(lun)}, ${formatSize(lun.size)}, ${lun.paths.length} path${lun.paths.length === 1 ? '' : 's'}, ${lun.paths[0].disk.node}` })
      const nameless = paths.filter(({ disk }) => disk.identity === undefined)
      for (const { disk } of nameless) tried.push({ step: `LUN ${disk.lun}`, said: `${disk.node} states no identity (VPD page 83) and cannot be used` })
      if (luns.length === 0) tried.push({ step: 'LUNs', said: `The target offers no LUN to ${target.initiator}: map one to it on the array` })
      const found = await look(luns, target)
      tried.push(...found.tried)
      return { candidates: found.candidates, tried }
    }, (error) => tried.push({ step: `logout from ${target.iqn}`, said: sayFailure(error) }))
  } catch (error) {
    ctx.signal.throwIfAborted()
    if (error instanceof StorageError && (error.kind === 'toolMissing' || error.kind === 'invalidArgument')) throw error
    return { candidates: [], tried: [...tried, { step: `login to ${targetIQN}`, said: sayFailure(error) }] }
  }
}
