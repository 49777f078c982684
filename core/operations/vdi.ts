/** What the VDI calls do, once parameters are valid and locks are held. */
import { supports, type Attachment, type Ctx, type Driver, type Feature, type Sr, type SrWith, type VdiRecord } from '../contract.ts'
import { StorageError, toStorageError, type ErrorKind } from '../errors.ts'
import { asVdiUuid, type SrUuid, type VdiUuid } from '../ids.ts'
import type { MethodName, Params, Result } from '../methods/index.ts'
import type { AttachmentRecord } from '../ports.ts'
import { vdiVerdict, type GuardedMethod, type VdiCondition } from '../states.ts'
import { formatSize, roundUp } from '../units.ts'
import { isLocked, lockToWire, vdiToWire } from '../wire.ts'
import { ctxFor, openAttached, withGuard, type Call } from '../call.ts'
import { notOffered } from './sr.ts'

type Handler<M extends MethodName> = (call: Call, params: Params<M>) => Promise<Result<M>>

interface Opened<F extends Feature> {
  readonly ctx: Ctx
  readonly sr: Sr & SrWith<F>
  readonly driver: Driver
  readonly attachment: AttachmentRecord | undefined
  /** undefined when proven absent. */
  readonly vdi: VdiRecord | undefined
  /** Set when the state table says that there is nothing to do. */
  readonly done: boolean
}

const explain: Readonly<Record<VdiCondition, (vdi: VdiUuid, found: { readonly vdi: VdiRecord | undefined; readonly attachment: AttachmentRecord | undefined; readonly sr: SrUuid }) => { readonly says: string; readonly remedy: string }>> = {
  absent: (vdi, { sr }) => ({ says: `There is no VDI ${vdi} in SR ${sr}`, remedy: `smctl sr scan ${sr} lists what is there` }),
  damaged: (vdi, found) => ({ says: `VDI ${vdi} is damaged: ${found.vdi?.problem?.message ?? ''}`, remedy: `smctl sr verify ${found.sr} --vdi-uuid ${vdi} --repair dry-run` }),
  base: (vdi) => ({ says: `VDI ${vdi} only holds data that other VDIs share`, remedy: 'Use one of its children; the collector removes it when nobody needs it any more' }),
  snapshot: (vdi) => ({ says: `VDI ${vdi} is a snapshot and cannot be changed`, remedy: 'Clone it and use the clone' }),
  attached: (vdi, found) => ({ says: `VDI ${vdi} is attached to this host (${found.attachment?.mode ?? ''})`, remedy: `smctl vdi detach ${found.sr} ${vdi}` }),
  locked: (vdi, found) => ({
    says: `VDI ${vdi} is locked by ${found.vdi?.lock?.owner ?? 'somebody'} on host ${found.vdi?.lock?.host ?? 'unknown'}`,
    remedy: `Let the owner unlock it; if it is known to be dead: smctl vdi lock ${found.sr} ${vdi} <owner> --force, then smctl vdi unlock`,
  }),
}

/** Opens the SR, finishes what a dead process left of this VDI, reads it and applies the state table. */
const openFor = async <F extends Feature>(call: Call, method: GuardedMethod, params: { readonly sr_uuid: SrUuid; readonly vdi_uuid: VdiUuid }, feature: F | undefined, held: 'sr' | 'vdi'): Promise<Opened<F>> => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (feature !== undefined && !supports(sr, feature)) throw notOffered(driver.type, feature)
  const ctx = ctxFor(call, params.sr_uuid)
  try {
    await sr.recover(ctx, held === 'sr' ? undefined : params.vdi_uuid)
    const vdi = await readVdi(ctx, sr, params.vdi_uuid)
    const attachment = call.engine.records.attachment(params.sr_uuid, params.vdi_uuid)
    const verdict = vdiVerdict(method, {
      exists: vdi !== undefined,
      damaged: vdi?.problem !== undefined,
      kind: vdi?.kind ?? 'disk',
      attached: attachment !== undefined,
      locked: isLocked(vdi?.lock, ctx.clock.now()),
    })
    if (verdict !== undefined && verdict.verdict !== 'done') {
      const { says, remedy } = explain[verdict.condition](params.vdi_uuid, { vdi, attachment, sr: params.sr_uuid })
      throw new StorageError(verdict.verdict, says, { field: 'vdi_uuid', layer: 'engine', remedy, details: { sr_uuid: params.sr_uuid, vdi_uuid: params.vdi_uuid } })
    }
    return { ctx, sr: sr as Sr & SrWith<F>, driver, attachment, vdi, done: verdict?.verdict === 'done' }
  } catch (error) {
    throw toStorageError(error, `driver:${driver.type}`)
  }
}

const readVdi = async (ctx: Ctx, sr: Sr, vdi: VdiUuid): Promise<VdiRecord | undefined> => sr.vdi(ctx, vdi)

const by = async <T>(driver: Driver, work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    throw toStorageError(error, `driver:${driver.type}`)
  }
}

const wireOf = (call: Call, sr: SrUuid, vdi: VdiRecord): Result<'VDI.stat'> =>
  vdiToWire(vdi, call.engine.clock.now(), call.engine.records.attachment(sr, vdi.uuid)?.mode)

/** Sizes are checked once, here, against the type's limits; drivers may round up further, never down. */
const checkedSize = (driver: Driver, size: number): number => {
  const { minVdiSize, maxVdiSize, sizeStep } = driver.limits
  const rounded = Math.max(minVdiSize, roundUp(size, sizeStep))
  if (rounded <= maxVdiSize) return rounded
  throw new StorageError('sizeOutOfRange', `${size} bytes (${formatSize(size)}) is more than a ${driver.type} VDI can have: ${maxVdiSize} bytes (${formatSize(maxVdiSize)})`, {
    field: 'size', layer: 'engine', remedy: 'Ask for less, or use an SR type with larger VDIs (smctl driver list shows the limits)', details: { size, max: maxVdiSize },
  })
}

/** Whether the destination of a copy is free: asked after recovery, with the SR held. */
const refuseExisting = async (ctx: Ctx, sr: Sr, dest: VdiUuid, field: string): Promise<void> => {
  if ((await sr.vdi(ctx, dest)) === undefined) return
  throw new StorageError('alreadyExists', `VDI ${dest} exists already in SR ${ctx.sr}`, { field, layer: 'engine', remedy: 'Choose another uuid', details: { sr_uuid: ctx.sr, vdi_uuid: dest } })
}

const create: Handler<'VDI.create'> = async (call, params) => {
  const uuid = params.vdi_uuid ?? asVdiUuid(crypto.randomUUID())
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (!supports(sr, 'create')) throw notOffered(driver.type, 'create')
  const size = checkedSize(driver, params.size)
  const ctx = ctxFor(call, params.sr_uuid)
  const made = await by(driver, (async () => {
    await sr.recover(ctx)
    await refuseExisting(ctx, sr, uuid, 'vdi_uuid')
    return sr.create(ctx, { uuid, size, name: params.name, description: params.description, shareable: params.shareable, provisioning: params.provisioning })
  })())
  return wireOf(call, params.sr_uuid, made)
}

const remove: Handler<'VDI.delete'> = async (call, params) => {
  const opened = await openFor(call, 'VDI.delete', params, 'destroy', 'sr')
  // Also of a VDI that is not there: an earlier, interrupted delete may have left something beside it.
  await by(opened.driver, opened.sr.destroy(opened.ctx, params.vdi_uuid))
  return { changed: !opened.done }
}

const stat: Handler<'VDI.stat'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  const vdi = await by(driver, readVdi(ctxFor(call, params.sr_uuid), sr, params.vdi_uuid))
  if (vdi === undefined) {
    const { says, remedy } = explain.absent(params.vdi_uuid, { vdi, attachment: undefined, sr: params.sr_uuid })
    throw new StorageError('notFound', says, { field: 'vdi_uuid', layer: 'engine', remedy, details: { sr_uuid: params.sr_uuid, vdi_uuid: params.vdi_uuid } })
  }
  return wireOf(call, params.sr_uuid, vdi)
}

const answer = (attachment: Attachment, mode: 'ro' | 'rw', changed: boolean): Result<'VDI.attach'> => ({
  path: attachment.path,
  content_type: attachment.contentType,
  mode,
  changed,
})

const attach: Handler<'VDI.attach'> = async (call, params) => {
  const { ctx, sr, driver, attachment, vdi } = await openFor(call, 'VDI.attach', params, undefined, 'vdi')
  const mode = params.mode ?? attachment?.mode ?? (vdi?.readOnly === true ? 'ro' : 'rw')
  if (mode === 'rw' && vdi?.readOnly === true) {
    throw new StorageError('readOnly', `VDI ${params.vdi_uuid} is read-only (${vdi.kind})`, { field: 'mode', layer: 'engine', remedy: 'Attach it with mode ro, or clone it and use the clone' })
  }
  if (attachment !== undefined && attachment.mode !== mode) {
    throw new StorageError('busy', `VDI ${params.vdi_uuid} is attached ${attachment.mode} already`, { field: 'mode', layer: 'engine', remedy: `Detach it first: smctl vdi detach ${params.sr_uuid} ${params.vdi_uuid}` })
  }
  // The driver is asked again even when we believe it is attached: it answers what the path is now.
  const found = await by(driver, sr.attach(ctx, params.vdi_uuid, mode))
  if (attachment === undefined || attachment.attachment.path !== found.path) {
    call.engine.records.putAttachment(params.sr_uuid, { vdi: params.vdi_uuid, mode, attachment: found, bootId: call.engine.host.bootId, attachedMs: ctx.clock.now() })
  }
  return answer(found, mode, attachment === undefined)
}

/** How calls fail while the place of an SR is gone. */
const goneKinds: readonly ErrorKind[] = ['placeMissing', 'notFound', 'unreachable', 'ioError', 'identityMismatch']

/** Detaching needs neither the image nor its device nor even the SR to be there or sound: the state table is not asked. */
const detach: Handler<'VDI.detach'> = async (call, params) => {
  const ctx = ctxFor(call, params.sr_uuid)
  const attachment = call.engine.records.attachment(params.sr_uuid, params.vdi_uuid)
  try {
    const { sr, driver } = await openAttached(call, params.sr_uuid)
    await by(driver, withGuard(call, params.sr_uuid, sr, async () => sr.detach(ctx, params.vdi_uuid, attachment?.attachment), [params.vdi_uuid]))
  } catch (error) {
    const record = call.engine.records.sr(params.sr_uuid)
    if (record === undefined || attachment === undefined || !(error instanceof StorageError) || !goneKinds.includes(error.kind)) throw error
    const driver = await call.engine.drivers.load(record.type)
    if (driver.letGo === undefined) throw error
    call.log.warn({ vdi: params.vdi_uuid, place: error.message }, 'the place is gone; this host lets go of the VDI all the same')
    await by(driver, driver.letGo(ctx, record.deviceConfig, params.vdi_uuid, attachment.attachment))
  }
  call.engine.records.removeAttachment(params.sr_uuid, params.vdi_uuid)
  return { changed: attachment !== undefined }
}

const copy = (method: 'VDI.snapshot' | 'VDI.clone', feature: 'snapshot' | 'clone'): Handler<typeof method> => async (call, params) => {
  const dest = params.dest_uuid ?? asVdiUuid(crypto.randomUUID())
  const opened = await openFor(call, method, params, feature, 'sr')
  const { ctx, sr, driver } = opened
  if (dest === params.vdi_uuid) {
    throw new StorageError('alreadyExists', `dest_uuid is the VDI itself: ${dest}`, { field: 'dest_uuid', layer: 'engine', remedy: 'Choose another uuid' })
  }
  await by(driver, refuseExisting(ctx, sr, dest, 'dest_uuid'))
  const want = {
    source: params.vdi_uuid,
    dest,
    ...(params.name === undefined ? {} : { name: params.name }),
    ...(params.description === undefined ? {} : { description: params.description }),
  }
  const copySr = sr as Sr & SrWith<'snapshot'> & SrWith<'clone'>
  return wireOf(call, params.sr_uuid, await by(driver, copySr[feature](ctx, want)))
}

const resize: Handler<'VDI.resize'> = async (call, params) => {
  const { sr: plain, driver: type } = await openAttached(call, params.sr_uuid)
  const size = checkedSize(type, params.size)
  // "Already the specified size" is done, whatever state the VDI is in (SM API, vdi_resize).
  const before = await by(type, readVdi(ctxFor(call, params.sr_uuid), plain, params.vdi_uuid))
  if (before !== undefined && before.problem === undefined && before.size === size && supports(plain, 'resize')) return wireOf(call, params.sr_uuid, before)
  const { ctx, sr, driver, vdi } = await openFor(call, 'VDI.resize', params, 'resize', 'vdi')
  if (vdi !== undefined && size < vdi.size) {
    throw new StorageError('sizeOutOfRange', `VDI ${params.vdi_uuid} has ${vdi.size} bytes (${formatSize(vdi.size)}): shrinking to ${size} would cut off data`, {
      field: 'size', layer: 'engine', remedy: 'Give a larger size', details: { size, present: vdi.size },
    })
  }
  return wireOf(call, params.sr_uuid, await by(driver, sr.resize(ctx, params.vdi_uuid, size)))
}

const revert: Handler<'VDI.revert'> = async (call, params) => {
  const { ctx, sr, driver } = await openFor(call, 'VDI.revert', params, 'revert', 'sr')
  const snapshot = await by(driver, readVdi(ctx, sr, params.snapshot_uuid))
  if (snapshot === undefined || snapshot.kind !== 'snapshot') {
    throw new StorageError(snapshot === undefined ? 'notFound' : 'invalidArgument', snapshot === undefined ? `There is no snapshot ${params.snapshot_uuid}` : `${params.snapshot_uuid} is no snapshot`, {
      field: 'snapshot_uuid', layer: 'engine', remedy: `smctl sr scan ${params.sr_uuid} lists the snapshots`,
    })
  }
  return wireOf(call, params.sr_uuid, await by(driver, sr.revert(ctx, params.vdi_uuid, params.snapshot_uuid)))
}

const lock: Handler<'VDI.lock'> = async (call, params) => {
  const { ctx, sr, driver } = await openFor(call, 'VDI.lock', params, 'lock', 'vdi')
  const taken = await by(driver, sr.lock(ctx, params.vdi_uuid, {
    owner: params.owner,
    force: params.force,
    ...(params.ttl_seconds === undefined ? {} : { ttlMs: params.ttl_seconds * 1000 }),
  }))
  if (params.force) call.log.warn({ vdi: params.vdi_uuid, owner: params.owner, epoch: taken.epoch }, 'VDI lock was taken with force')
  return lockToWire(taken)
}

const unlock: Handler<'VDI.unlock'> = async (call, params) => {
  const { ctx, sr, driver } = await openFor(call, 'VDI.unlock', params, 'lock', 'vdi')
  return { changed: await by(driver, sr.unlock(ctx, params.vdi_uuid, params.owner)) }
}

const setNames: Handler<'VDI.set_names'> = async (call, params) => {
  const { ctx, sr, driver, vdi } = await openFor(call, 'VDI.set_names', params, 'names', 'vdi')
  const changed = (params.name ?? vdi?.name) !== vdi?.name || (params.description ?? vdi?.description) !== vdi?.description
  if (changed) {
    await by(driver, sr.setVdiNames(ctx, params.vdi_uuid, {
      ...(params.name === undefined ? {} : { name: params.name }),
      ...(params.description === undefined ? {} : { description: params.description }),
    }))
  }
  return { changed }
}

export const vdiOperations = {
  'VDI.create': create,
  'VDI.delete': remove,
  'VDI.stat': stat,
  'VDI.attach': attach,
  'VDI.detach': detach,
  'VDI.snapshot': copy('VDI.snapshot', 'snapshot') as Handler<'VDI.snapshot'>,
  'VDI.clone': copy('VDI.clone', 'clone') as Handler<'VDI.clone'>,
  'VDI.resize': resize,
  'VDI.revert': revert,
  'VDI.lock': lock,
  'VDI.unlock': unlock,
  'VDI.set_names': setNames,
}
