/** A target as a dconf names it: who this host is to it, and which of its portals are meant. */
import { createHash } from 'node:crypto'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatPortal, samePortal, type Portal, type TargetPortal } from '../../host/iscsi/portal.ts'
import type { Chap } from '../../host/iscsi/records.ts'
import { discover, hostInitiator } from '../../host/iscsi/session.ts'
import { chapOf, namedPortals, type TargetDconf } from './dconf.ts'

const layer = 'store:iscsi-targets'

export interface Target {
  readonly iqn: string
  /** Name of this host towards it. */
  readonly initiator: string
  /** Interface record: `default`, or one of ours that bears another initiator name. */
  readonly face: string
  readonly named: readonly Portal[]
  readonly chap: Chap | undefined
  /** Which of the advertised portals, from 1. */
  readonly number: number | undefined
  readonly multipath: 'auto' | 'yes' | 'no'
  readonly loginTimeout: number
  readonly replacementTimeout: number | undefined
}

export const shortDigest = (...parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12)

/**
 * The host's own name is used through the `default` interface, so that nothing of ours is left in open-iscsi's folder of
 * interfaces: an administrator's discovery binds what it finds to every interface it sees there.
 */
export const targetOf = async (ctx: Ctx, dconf: TargetDconf): Promise<Target> => {
  const own = dconf.localIQN === undefined ? await hostInitiator(ctx) : await hostInitiator(ctx).catch(() => undefined)
  const initiator = dconf.localIQN ?? own ?? ''
  return {
    iqn: dconf.targetIQN, initiator, named: namedPortals(dconf), chap: chapOf(dconf),
    face: initiator === own ? 'default' : `sm-${shortDigest(ctx.host.runDirectory, dconf.targetIQN, initiator)}`,
    number: dconf.usediscoverynumber === undefined ? undefined : Number(dconf.usediscoverynumber),
    multipath: dconf.multipath, loginTimeout: Number(dconf.login_timeout),
    replacementTimeout: dconf.replacement_timeout === undefined ? undefined : Number(dconf.replacement_timeout),
  }
}

export interface Discovery {
  readonly found: readonly TargetPortal[]
  /** What each named portal said. */
  readonly tried: readonly { readonly step: string; readonly said: string }[]
  /** The first failure, when no portal answered. */
  readonly failure: StorageError | undefined
}

/** Asks all named portals at once: a dead one must not hold up the others. */
export const discoverAll = async (ctx: Ctx, named: readonly Portal[], chap: Chap | undefined): Promise<Discovery> => {
  const answers = await Promise.all(named.map(async (portal) => {
    try {
      return { portal, found: await discover(ctx, portal, chap) }
    } catch (error) {
      ctx.signal.throwIfAborted()
      if (!(error instanceof StorageError) || error.kind === 'toolMissing') throw error
      return { portal, error }
    }
  }))
  const found: TargetPortal[] = []
  for (const one of answers.flatMap((answer) => ('found' in answer ? answer.found : []))) {
    if (!found.some((known) => known.iqn === one.iqn && samePortal(known, one))) found.push(one)
  }
  return {
    found,
    tried: answers.map((answer) => ({
      step: `discovery at ${formatPortal(answer.portal)}`,
      said: 'found' in answer ? answer.found.map(({ iqn, ...portal }) => `${iqn} at ${formatPortal(portal)}`).join(', ') || 'no target is offered to this initiator' : `${answer.error.message}${answer.error.facts.remedy === undefined ? '' : ` (${answer.error.facts.remedy})`}`,
    })),
    failure: answers.every((answer) => 'error' in answer) ? answers.flatMap((answer) => ('error' in answer ? [answer.error] : []))[0] : undefined,
  }
}

/** The portals of the target, those that were named first; with `number` only that one. */
export const portalsOf = (target: Pick<Target, 'iqn' | 'named' | 'number'>, discovery: Discovery): readonly TargetPortal[] => {
  if (discovery.failure !== undefined) throw discovery.failure
  const portals = discovery.found.filter(({ iqn }) => iqn === target.iqn)
  if (portals.length === 0) {
    const others = [...new Set(discovery.found.map(({ iqn }) => iqn))]
    throw new StorageError('placeMissing', `${target.named.map(formatPortal).join(', ')} offers no target ${target.iqn} to this host${others.length === 0 ? '' : `, but: ${others.slice(0, 5).join(', ')}`}`, {
      layer, field: 'device_config.targetIQN', remedy: 'See on the array that the target exists and admits this initiator; smctl sr probe iscsi lists what is offered',
    })
  }
  if (target.number !== undefined) {
    const chosen = portals[target.number - 1]
    if (chosen !== undefined) return [chosen]
    throw new StorageError('invalidArgument', `device_config.usediscoverynumber: there is no portal ${target.number}; ${target.iqn} has ${portals.length}: ${portals.map(formatPortal).join(', ')}`, {
      layer, field: 'device_config.usediscoverynumber', remedy: `Give a number from 1 to ${portals.length}, or leave it out`,
    })
  }
  const isNamed = (portal: Portal): boolean => target.named.some((named) => samePortal(named, portal))
  return [...portals.filter(isNamed), ...portals.filter((portal) => !isNamed(portal))]
}
