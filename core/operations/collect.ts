/**
 * The collector: removes images that nothing refers to and coalesces chains, in slices. Between two slices it holds no
 * lock, so whoever wants the disk waits for one slice at most; the plan is made anew after every change.
 */
import { supports, type CollectorStep, type Ctx, type Sr, type SrWith, type VdiRecord } from '../contract.ts'
import { StorageError, toStorageError } from '../errors.ts'
import type { SrUuid, VdiUuid } from '../ids.ts'
import type { Params, Result } from '../methods/index.ts'
import { isLocked } from '../wire.ts'
import { ctxFor, openAttached, withLocks, type Call } from '../call.ts'
import { notOffered } from './sr.ts'

type CollectingSr = Sr & SrWith<'collect'>

/** Why a step cannot run now: a sentence for each VDI that is in use. */
const blockedBy = (call: Call, sr: SrUuid, step: CollectorStep, locked: ReadonlySet<VdiUuid>): string[] =>
  step.needs.flatMap((vdi) => {
    const attached = call.engine.records.attachment(sr, vdi)
    if (attached !== undefined) return [`VDI ${vdi} is attached (${attached.mode})`]
    return locked.has(vdi) ? [`VDI ${vdi} is locked`] : []
  })

const lockedOnes = (vdis: readonly VdiRecord[], now: number): ReadonlySet<VdiUuid> =>
  new Set(vdis.filter((vdi) => isLocked(vdi.lock, now)).map((vdi) => vdi.uuid))

/** Under the locks of a step: is one of its VDIs locked on the storage, by this host or another? */
const lockedNow = async (ctx: Ctx, sr: Sr, step: CollectorStep): Promise<ReadonlySet<VdiUuid>> => {
  if (!supports(sr, 'lock')) return new Set()
  const found = await Promise.all(step.needs.map(async (vdi) => (isLocked(await sr.readLock(ctx, vdi), ctx.clock.now()) ? [vdi] : [])))
  return new Set(found.flat())
}

/** Longest way from a VDI to its root, counted in images. */
const longestChain = (vdis: readonly VdiRecord[]): number => {
  const parents = new Map(vdis.map((vdi) => [vdi.uuid, vdi.parent]))
  const depth = (uuid: VdiUuid): number => {
    let steps = 0
    for (let at: VdiUuid | undefined = uuid; at !== undefined && steps <= vdis.length; at = parents.get(at)) steps += 1
    return steps
  }
  return vdis.reduce((longest, vdi) => Math.max(longest, depth(vdi.uuid)), 0)
}

/** Removes what nobody refers to; the caller holds the SR exclusively. */
export const removeGarbage = async (call: Call, ctx: Ctx, sr: CollectingSr): Promise<number> => {
  let removed = 0
  for (;;) {
    const step = (await sr.backlog(ctx)).find((candidate) => candidate.action === 'remove')
    if (step === undefined) return removed
    ctx.signal.throwIfAborted()
    while (!(await sr.collect(ctx, step))) ctx.signal.throwIfAborted()
    call.log.info({ vdi: step.vdi }, 'collector removed an image that nothing refers to')
    removed += 1
  }
}

const backlog = async (call: Call, params: Params<'SR.backlog'>): Promise<Result<'SR.backlog'>> => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (!supports(sr, 'collect')) throw notOffered(driver.type, 'collect')
  const ctx = ctxFor(call, params.sr_uuid)
  try {
    await sr.recover(ctx)
    const { vdis } = await sr.scan(ctx)
    const steps = await sr.backlog(ctx)
    const locked = lockedOnes(vdis, ctx.clock.now())
    return {
      bytes: steps.reduce((sum, step) => sum + step.bytes, 0),
      longest_chain: longestChain(vdis),
      steps: steps.map((step) => ({
        action: step.action,
        vdi_uuid: step.vdi,
        ...(step.child === undefined ? {} : { child_uuid: step.child }),
        bytes: step.bytes,
        blocked_by: blockedBy(call, params.sr_uuid, step, locked),
      })),
    }
  } catch (error) {
    throw toStorageError(error, `driver:${driver.type}`)
  }
}

const collect = async (call: Call, params: Params<'SR.collect'>): Promise<Result<'SR.collect'>> => {
  const { sr: uuid } = { sr: params.sr_uuid }
  const ctx = ctxFor(call, uuid)
  const total = { removed: 0, coalesced: 0, blocked: 0, bytes: 0 }
  /** Steps that were blocked or in use are not tried again in this run. */
  const passed = new Set<string>()
  const keyOf = (step: CollectorStep): string => `${step.action} ${step.vdi} ${step.child ?? ''}`

  for (;;) {
    call.signal.throwIfAborted()
    const { sr, driver } = await openAttached(call, uuid)
    if (!supports(sr, 'collect')) throw notOffered(driver.type, 'collect')
    const steps = await withLocks(call, { sr: uuid, srMode: 'exclusive', vdis: [] }, async () => {
      await sr.recover(ctx)
      total.removed += await removeGarbage(call, ctx, sr)
      return sr.backlog(ctx)
    }).catch((error: unknown) => {
      throw toStorageError(error, `driver:${driver.type}`)
    })
    const step = steps.find((candidate) => !passed.has(keyOf(candidate)))
    if (step === undefined) {
      total.blocked = passed.size
      return total
    }
    const outcome = await runStep(call, ctx, sr, step).catch((error: unknown) => {
      throw toStorageError(error, `driver:${driver.type}`)
    })
    // Somebody changed the chain since the plan was made: a new plan is made of what is there now.
    if (outcome === 'stale') continue
    if (outcome === 'done') {
      total.coalesced += 1
      total.bytes += step.bytes
      call.log.info({ base: step.vdi, child: step.child, bytes: step.bytes }, 'collector coalesced')
    } else {
      passed.add(keyOf(step))
    }
  }
}

/** All slices of one step. Gives way as soon as one of its VDIs is wanted by somebody else. */
const runStep = async (call: Call, ctx: Ctx, sr: CollectingSr, step: CollectorStep): Promise<'done' | 'blocked' | 'stale'> => {
  for (;;) {
    call.signal.throwIfAborted()
    try {
      const slice = await withLocks(call, { sr: ctx.sr, srMode: 'shared', vdis: step.needs }, async () => {
        const locked = await lockedNow(ctx, sr, step)
        if (blockedBy(call, ctx.sr, step, locked).length > 0) return 'blocked'
        return (await sr.collect(ctx, step)) ? 'done' : 'more'
      })
      if (slice !== 'more') return slice
    } catch (error) {
      if (error instanceof StorageError && error.kind === 'inProgress') return 'blocked'
      if (error instanceof StorageError && error.kind === 'staleGeneration') return 'stale'
      throw error
    }
  }
}

export const collectOperations = { 'SR.backlog': backlog, 'SR.collect': collect }
