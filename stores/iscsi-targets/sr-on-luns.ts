/**
 * An SR whose volume group or file system lies on LUNs, as a driver of such SRs hands it out: the store's own SR, with what the way
 * to the LUNs adds to each call.
 */
import type { Ctx, Finding, SrContents, SrCore, SrStat } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import { keepHold } from '../raw-luns/hold.ts'
import { describeLun, pathWarnings, works } from '../raw-luns/lun.ts'
import { verifyLuns } from '../raw-luns/verify.ts'
import { isWanted } from './chosen-luns.ts'
import { answersNow, keyOf, lunPlace, needDevices, ownLuns, releaseLuns, withLuns, holdLuns, type LunPlace } from './luns.ts'
import type { LunDconf } from './chosen-luns.ts'
import { inTermsOfLuns } from './words.ts'

type Operation = (ctx: Ctx, ...args: readonly unknown[]) => Promise<unknown>

/** Calls that change the SR under no lock but the VDI's: nobody has asked before them whether the LUNs are still ours. `recover` has for the others. */
const askFirst: ReadonlySet<string> = new Set(['attach', 'resize', 'lock', 'unlock', 'setVdiNames', 'setSrNames', 'collect'])

/** Kinds of failures behind which a lost target or a lost reservation may be. */
const puzzling: ReadonlySet<string> = new Set(['ioError', 'toolFailed', 'outcomeUnknown', 'readOnly', 'placeMissing', 'notFound', 'imageCorrupt', 'driverBug'])

const takenAway = (ctx: Ctx, cause: StorageError): StorageError =>
  new StorageError('busy', `SR ${ctx.sr} was taken over: ${cause.message}`, {
    ...cause.facts, cause, remedy: `The array refuses what this host writes to it. Let its VDIs go here: smctl vdi detach, then smctl sr detach ${ctx.sr}`,
  })

/** Proves that the LUNs are still held by this host; answers what had to be done for it. busy: another host has taken them over. */
const stillOurs = async (ctx: Ctx, place: LunPlace): Promise<readonly string[]> => {
  if (!place.reserves) return []
  const done: string[] = []
  for (const lun of await ownLuns(ctx, place)) {
    if (!lun.paths.some(works)) continue
    try {
      if (await keepHold(ctx, lun, keyOf(ctx, place))) done.push(`reserved ${describeLun(lun)} for this host again`)
    } catch (error) {
      throw error instanceof StorageError && error.kind === 'busy' ? takenAway(ctx, error) : error
    }
  }
  return done
}

/** What is really behind a failure: a target that does not answer, or another host that has the LUNs by now; else the failure itself. */
const explain = async (ctx: Ctx, place: LunPlace, error: StorageError): Promise<StorageError> => {
  if (!puzzling.has(error.kind) || ctx.signal.aborted) return error
  try {
    await place.source.needTarget(ctx)
    await stillOurs(ctx, place)
    return error
  } catch (behind) {
    if (!(behind instanceof StorageError)) return error
    return new StorageError(behind.kind, `${behind.message} (${error.message})`, { ...error.facts, ...behind.facts, cause: error, mayHaveChanged: error.facts.mayHaveChanged === true })
  }
}

const warningsOf = async (ctx: Ctx, place: LunPlace): Promise<readonly string[]> =>
  (await ownLuns(ctx, place)).flatMap((lun) => pathWarnings(lun).map((text) => `LUN ${lun.number}: ${text}`))

const withWarnings = (stat: SrStat, more: readonly string[]): SrStat => (more.length === 0 ? stat : { ...stat, warnings: [...(stat.warnings ?? []), ...more] })

/** Findings about the SR's own LUNs, and about sessions of this host. */
const lunFindings = async (ctx: Ctx, place: LunPlace, repair: 'no' | 'dry-run' | 'yes'): Promise<readonly Finding[]> => {
  const ids = new Set((await ownLuns(ctx, place)).map(({ identity }) => identity.scsiId))
  const own = {
    ...place.source,
    paths: async (c: Ctx) => (await place.source.paths(c)).filter(({ disk }) => disk.identity !== undefined && (ids.has(disk.identity.scsiId) || isWanted({ identity: disk.identity, number: disk.lun }, place.wanted))),
  }
  // A VDI of that store is a LUN; of this SR it is not.
  return (await verifyLuns(ctx, own, undefined, repair)).map(({ vdi: _lun, ...finding }) => finding)
}

/**
 * Before each call the target must be known to answer: the kernel lets whoever touches its disks wait otherwise. `detach` fails
 * with unreachable then, and the engine lets go of the VDI without the LUN.
 */
const onLuns = <S extends SrCore>(sr: S, place: LunPlace): S => {
  const words = { type: place.driver, key: place.wanted.key }
  const around = (name: string, operation: Operation): Operation => async (ctx, ...args) => {
    await place.source.needTarget(ctx)
    const replayed = askFirst.has(name) || (name === 'recover' && args[0] === undefined) ? await stillOurs(ctx, place) : []
    try {
      const result = await operation(ctx, ...args)
      if (name === 'recover') return { replayed: [...replayed, ...(result as { readonly replayed: readonly string[] }).replayed] }
      if (name === 'stat') return withWarnings(result as SrStat, await warningsOf(ctx, place))
      if (name === 'scan') return { ...(result as SrContents), stat: withWarnings((result as SrContents).stat, await warningsOf(ctx, place)) }
      if (name === 'verify' && args[0] === undefined) return [...(result as readonly Finding[]), ...(await lunFindings(ctx, place, args[1] as 'no'))]
      if (name === 'orphans') return [...(result as readonly unknown[]), ...(await place.source.orphans(ctx))]
      return result
    } catch (error) {
      throw inTermsOfLuns(words, await explain(ctx, place, toStorageError(error, `driver:${place.driver}`)))
    }
  }
  return Object.fromEntries(Object.entries(sr).map(([name, value]: [string, unknown]) =>
    [name, typeof value === 'function' && name !== 'close' ? around(name, value as Operation) : value])) as unknown as S
}

/** What a store does with devices: the calls of a driver, without the way there. */
export interface Below<Dconf, S extends SrCore> {
  attach(ctx: Ctx, devices: readonly string[], dconf: Dconf): Promise<void>
  /** `devices`: those that are held; none when they do not answer, or are held no more. */
  detach(ctx: Ctx, devices: readonly string[], dconf: Dconf): Promise<void>
  open(ctx: Ctx, devices: readonly string[], dconf: Dconf): Promise<S>
}

/** The calls of a driver whose SRs lie on LUNs, around those of a store on devices. */
export const srOnLuns = <Dconf extends LunDconf, S extends SrCore>(driver: string, below: Below<Dconf, S>) => {
  const told = async <T>(place: LunPlace, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw inTermsOfLuns({ type: driver, key: place.wanted.key }, error)
    }
  }
  /** Runs `work` on the devices of an SR that is not attached, or (`making`) not there yet: its LUNs are held as long. */
  const on = async <T>(ctx: Ctx, dconf: Dconf, work: (devices: readonly string[]) => Promise<T>, making = false): Promise<T> => {
    const place = await lunPlace(ctx, driver, dconf)
    return told(place, async () => withLuns(ctx, place, making, work))
  }

  const takeOver = async (ctx: Ctx, dconf: Dconf, from: string): Promise<void> => {
    await holdLuns(ctx, await lunPlace(ctx, driver, dconf), { from })
  }

  /** Steps: 1. hold the LUNs; 2. the store attaches what is on them. A failure of 2 gives the LUNs back; a crash is finished by a repeat. */
  const attach = async (ctx: Ctx, dconf: Dconf): Promise<void> => {
    const place = await lunPlace(ctx, driver, dconf)
    const devices = await holdLuns(ctx, place)
    await told(place, async () => {
      try {
        await below.attach(ctx, devices, dconf)
      } catch (error) {
        await releaseLuns(ctx, place).catch((left: unknown) => ctx.log.warn({ left: (left as Error).message }, 'LUNs were not fully given back'))
        throw error
      }
    })
  }

  /** Steps: 1. the store lets go; 2. the LUNs are given back. What is gone is done; a crash is finished by a repeat. */
  const detach = async (ctx: Ctx, dconf: Dconf): Promise<void> => {
    const place = await lunPlace(ctx, driver, dconf)
    const answers = await answersNow(ctx, place)
    await told(place, async () => {
      try {
        await below.detach(ctx, answers ? await needDevices(ctx, place).catch(() => []) : [], dconf)
      } catch (error) {
        if (answers || !(error instanceof StorageError) || ctx.signal.aborted) throw error
        throw new StorageError('unreachable', `The target ${place.target.iqn} does not answer, and what is on its LUNs waits for it: ${error.message}`, {
          ...error.facts, cause: error, remedy: 'Detach it again when replacement_timeout has passed (120 seconds with one path): its I/O fails then, and nothing waits any more',
        })
      }
    })
    await releaseLuns(ctx, place)
  }

  const open = async (ctx: Ctx, dconf: Dconf): Promise<S> => {
    const place = await lunPlace(ctx, driver, dconf)
    const devices = await needDevices(ctx, place)
    return told(place, async () => onLuns(await below.open(ctx, devices, dconf), place))
  }

  return { on, calls: { takeOver, attach, detach, open } }
}
