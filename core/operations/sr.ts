/** What the SR calls do, once parameters are valid and locks are held. */
import { type Ctx, type Driver, type Sr, type SrContents, supports } from '../contract.ts'
import { parseDconf, secretKeys } from '../define-driver.ts'
import { reportError, StorageError, toStorageError } from '../errors.ts'
import { asSrUuid, type SrUuid } from '../ids.ts'
import type { MethodName, Params, Result } from '../methods/index.ts'
import type { SrRecord } from '../ports.ts'
import { srRule, type SrState } from '../states.ts'
import { mapInSlices } from '../slices.ts'
import { vdiToWire } from '../wire.ts'
import { agreeOnPlace, ctxFor, notAttached, openAttached, withGuard, type Call, type Place } from '../call.ts'
import { removeGarbage } from './collect.ts'

type Handler<M extends MethodName> = (call: Call, params: Params<M>) => Promise<Result<M>>

const stateOf = (call: Call, record: SrRecord | undefined): SrState =>
  record === undefined ? 'unknown' : record.attachedInBoot === call.engine.host.bootId ? 'attached' : 'detached'

/** Reads the record under the lock and applies the state table; the state when the call may run or is done. */
const admit = (call: Call, method: MethodName, uuid: SrUuid): { readonly record: SrRecord | undefined; readonly state: SrState; readonly done: boolean } => {
  const record = call.engine.records.sr(uuid)
  const state = stateOf(call, record)
  const verdict = srRule(method)[state]
  if (verdict === 'run' || verdict === 'done') return { record, state, done: verdict === 'done' }
  if (verdict === 'srNotAttached') throw notAttached(uuid, record)
  throw new StorageError(verdict, `SR ${uuid} is ${state === 'attached' ? 'attached to this host' : 'known to this host already'}`, {
    field: 'sr_uuid',
    layer: 'engine',
    remedy: state === 'attached' ? `smctl sr detach ${uuid}` : `Use another uuid, or smctl sr forget ${uuid}`,
  })
}

/** Where the SR is, by the call's parameters, by the caller's place, or by what this host knows; they must agree. */
const placeOf = (call: Call, params: { readonly type?: string | undefined; readonly device_config?: Place['deviceConfig'] | undefined }, record: SrRecord | undefined): Place | undefined => {
  if ((params.type === undefined) !== (params.device_config === undefined)) {
    throw new StorageError('invalidArgument', `${params.type === undefined ? 'type' : 'device_config'} is missing: both are needed, or none for an SR that this host knows`, {
      field: params.type === undefined ? 'type' : 'device_config', layer: 'engine', remedy: 'Give both',
    })
  }
  const told = params.type !== undefined && params.device_config !== undefined ? { type: params.type, deviceConfig: params.device_config } : call.place
  if (record === undefined) return told
  // While attached, the way to reach it is fixed. A detached SR may have moved: then the caller's word is the newer one.
  if (told !== undefined && stateOf(call, record) === 'attached') agreeOnPlace(record, told)
  return told ?? { type: record.type, deviceConfig: record.deviceConfig }
}

const asDriverError = (type: string) => (error: unknown): never => {
  throw toStorageError(error, `driver:${type}`)
}

const needs = <K extends 'prepare' | 'adopt' | 'reidentify' | 'remove' | 'takeOver'>(driver: Driver, name: K, what: string): NonNullable<Driver[K]> => {
  const found = driver[name]
  if (found === undefined) {
    throw new StorageError('notSupported', `SRs of type ${driver.type} cannot be ${what} by the storage manager`, { layer: `driver:${driver.type}` })
  }
  return found as NonNullable<Driver[K]>
}

const mayBeGone = (error: unknown): boolean => error instanceof StorageError && (error.kind === 'notFound' || error.kind === 'placeMissing')

const probe: Handler<'SR.probe'> = async (call, params) => {
  const driver = await call.engine.drivers.load(params.type)
  // No SR is meant yet: the nil uuid never names one.
  const ctx = ctxFor(call, '00000000-0000-0000-0000-000000000000' as SrUuid)
  const found = await driver.probe(ctx, params.device_config).catch(asDriverError(params.type))
  // Secrets are not answered back: who asked has them, who reads over the shoulder should not.
  const secret = new Set(secretKeys(driver.dconf))
  return {
    candidates: found.candidates.map((candidate) => ({
      device_config: Object.fromEntries(Object.entries(candidate.deviceConfig).filter(([key]) => !secret.has(key))),
      complete: candidate.complete,
      found: candidate.found,
      ...(candidate.sr === undefined ? {} : { sr: { ...candidate.sr } }),
      says: candidate.says,
    })),
    tried: found.tried.map((step) => ({ ...step })),
  }
}

const create: Handler<'SR.create'> = async (call, params) => {
  const uuid = params.sr_uuid ?? asSrUuid(crypto.randomUUID())
  admit(call, 'SR.create', uuid)
  const driver = await call.engine.drivers.load(params.type)
  const prepare = needs(driver, 'prepare', 'created')
  await prepare(ctxFor(call, uuid), params.device_config, { size: params.size, name: params.name, description: params.description }).catch(asDriverError(params.type))
  call.engine.records.putSr({ uuid, type: params.type, deviceConfig: params.device_config })
  return { sr_uuid: uuid }
}

const introduce: Handler<'SR.introduce'> = async (call, params) => {
  const driver = await call.engine.drivers.load(params.type)
  parseDconf(driver.type, driver.dconf, params.device_config)
  const wanted = params.sr_uuid
  const found = await driver.probe(ctxFor(call, wanted ?? asSrUuid(crypto.randomUUID())), params.device_config).catch(asDriverError(params.type))
  const existing = found.candidates.find((c) => c.complete && c.found === 'sr' && c.sr?.uuid !== undefined && (wanted === undefined || c.sr.uuid === wanted))
  // A place may leave no choice of the uuid (a file system's own, the name of a directory).
  const adoptable = found.candidates.find((c) => c.complete && c.found === 'adoptable' && (wanted === undefined || c.sr?.uuid === undefined || c.sr.uuid === wanted))
  const uuid = existing?.sr?.uuid ?? (adoptable === undefined ? undefined : (wanted ?? adoptable.sr?.uuid ?? asSrUuid(crypto.randomUUID())))
  if (uuid === undefined) {
    throw new StorageError('notFound', `There is no SR${wanted === undefined ? '' : ` ${wanted}`} to introduce: ${found.candidates.map((c) => c.says).join('; ') || 'nothing was found'}`, {
      layer: `driver:${params.type}`, field: 'device_config', remedy: `smctl sr probe ${params.type} shows what is there`,
      details: Object.fromEntries(found.tried.slice(0, 20).map((step, index) => [`tried_${index + 1}`, `${step.step}: ${step.said}`])),
    })
  }
  const record = call.engine.records.sr(uuid)
  const place = { type: params.type, deviceConfig: params.device_config }
  if (stateOf(call, record) === 'attached' && record !== undefined) agreeOnPlace(record, place)
  if (existing === undefined) {
    const adopt = needs(driver, 'adopt', 'adopted')
    await adopt(ctxFor(call, uuid), params.device_config, { size: 0, name: params.name, description: params.description }).catch(asDriverError(params.type))
  }
  if (stateOf(call, record) !== 'attached') call.engine.records.putSr({ uuid, ...place })
  return { sr_uuid: uuid, adopted: existing === undefined }
}

const reidentify: Handler<'SR.reidentify'> = async (call, params) => {
  const uuid = params.sr_uuid ?? asSrUuid(crypto.randomUUID())
  if (uuid === params.original_uuid) {
    throw new StorageError('invalidArgument', `sr_uuid is the original itself: ${uuid}`, { field: 'sr_uuid', layer: 'engine', remedy: 'Leave it out, or choose another uuid' })
  }
  admit(call, 'SR.reidentify', uuid)
  const driver = await call.engine.drivers.load(params.type)
  const change = needs(driver, 'reidentify', 're-identified')
  const vdis = await change(ctxFor(call, uuid), params.device_config, { original: params.original_uuid }).catch(asDriverError(params.type))
  call.engine.records.putSr({ uuid, type: params.type, deviceConfig: params.device_config })
  return { sr_uuid: uuid, vdis: vdis.map(({ vdi, original }) => ({ vdi_uuid: vdi, original_uuid: original })) }
}

const forget: Handler<'SR.forget'> = async (call, params) => {
  if (admit(call, 'SR.forget', params.sr_uuid).done) return { changed: false }
  call.engine.records.removeSr(params.sr_uuid)
  return { changed: true }
}

const list: Handler<'SR.list'> = async (call) => ({
  srs: await Promise.all(call.engine.records.listSrs().map(async (record) => {
    // A driver that is no longer installed cannot say which keys are secret: then none is shown.
    const hidden = await call.engine.drivers.load(record.type).then((driver) => secretKeys(driver.dconf), () => Object.keys(record.deviceConfig))
    return {
      uuid: record.uuid,
      type: record.type,
      attached: stateOf(call, record) === 'attached',
      device_config: Object.fromEntries(Object.entries(record.deviceConfig).map(([key, value]) => [key, hidden.includes(key) ? '***' : value])),
    }
  })),
})

/**
 * Makes an SR reachable and opens it. Also one that is recorded as attached may have to be connected again: a detach or a
 * delete that died midway, or somebody by hand, took it away.
 */
const reach = async (call: Call, ctx: Ctx, driver: Driver, place: Place, state: SrState): Promise<{ readonly sr: Sr; readonly changed: boolean }> => {
  const connect = async (): Promise<void> => {
    await driver.attach(ctx, place.deviceConfig).catch(asDriverError(place.type))
    call.engine.records.putSr({ uuid: ctx.sr, ...place, attachedInBoot: call.engine.host.bootId })
  }
  if (state === 'attached') {
    try {
      const { sr } = await openAttached(call, ctx.sr)
      // Also of an attached SR the place is proven again: a handle of this process would hide that it is gone. Other troubles are for the recovery.
      await sr.stat(ctx).catch((error: unknown) => {
        if (mayBeGone(error)) throw error
      })
      return { sr, changed: false }
    } catch (error) {
      if (!mayBeGone(error)) throw error
    }
    // It speaks of the place that was taken away.
    await call.engine.handles.close(ctx.sr)
  }
  await connect()
  return { sr: (await openAttached(call, ctx.sr)).sr, changed: true }
}

const attach: Handler<'SR.attach'> = async (call, params) => {
  const { record, state } = admit(call, 'SR.attach', params.sr_uuid)
  const place = placeOf(call, params, record)
  if (place === undefined) throw notAttached(params.sr_uuid, undefined)
  const driver = await call.engine.drivers.load(place.type)
  const ctx = ctxFor(call, params.sr_uuid)
  // Attached here it is ours already, or was taken from us: then a detach comes first.
  if (params.take_over_from !== undefined && state !== 'attached') {
    await needs(driver, 'takeOver', 'taken over from another host')(ctx, place.deviceConfig, params.take_over_from).catch(asDriverError(place.type))
  }
  const { sr, changed } = await reach(call, ctx, driver, place, state)
  const recovered = await withGuard(call, params.sr_uuid, sr, async () => sr.recover(ctx)).catch(asDriverError(place.type))
  for (const line of recovered.replayed) call.log.warn({ recovered: line }, 'finished what a crash had left')
  return { changed, recovered: [...recovered.replayed] }
}

const attachedVdis = (call: Call, uuid: SrUuid): StorageError | undefined => {
  const attached = call.engine.records.attachments(uuid)
  if (attached.length === 0) return undefined
  return new StorageError('busy', `${attached.length} VDI${attached.length === 1 ? ' is' : 's are'} attached: ${attached.slice(0, 3).map((a) => a.vdi).join(', ')}${attached.length > 3 ? ', ...' : ''}`, {
    layer: 'engine', remedy: `smctl vdi detach ${uuid} ${attached[0]?.vdi ?? ''}`, details: { sr_uuid: uuid, attached: attached.length },
  })
}

/** Takes host access away; each step treats "gone" as done, so that it can be repeated after a crash. */
const disconnect = async (call: Call, ctx: Ctx, driver: Driver, record: SrRecord): Promise<void> => {
  await call.engine.handles.close(record.uuid)
  await driver.detach(ctx, record.deviceConfig).catch(asDriverError(record.type))
  call.engine.locks.forget(record.uuid)
}

const detach: Handler<'SR.detach'> = async (call, params) => {
  const { record, done } = admit(call, 'SR.detach', params.sr_uuid)
  if (done || record === undefined) return { changed: false }
  if (call.place !== undefined) agreeOnPlace(record, call.place)
  const busy = attachedVdis(call, record.uuid)
  if (busy !== undefined) throw busy
  await disconnect(call, ctxFor(call, record.uuid), await call.engine.drivers.load(record.type), record)
  call.engine.records.putSr({ uuid: record.uuid, type: record.type, deviceConfig: record.deviceConfig })
  return { changed: true }
}

/**
 * sr_delete. Steps: 1. reach the SR (not there: done); 2. recover and remove garbage, then see that no VDI is left;
 * 3. disconnect; 4. the driver cleans the place; 5. forget it. A crash after any step is finished by a repeat.
 */
const remove: Handler<'SR.delete'> = async (call, params) => {
  const { record, state } = admit(call, 'SR.delete', params.sr_uuid)
  const place = placeOf(call, params, record)
  if (place === undefined) return { changed: false }
  const driver = await call.engine.drivers.load(place.type)
  const erase = needs(driver, 'remove', 'deleted')
  const ctx = ctxFor(call, params.sr_uuid)
  const busy = attachedVdis(call, params.sr_uuid)
  if (busy !== undefined) throw busy
  const attachedRecord: SrRecord = { uuid: params.sr_uuid, ...place, attachedInBoot: call.engine.host.bootId }
  let sr: Sr
  try {
    sr = (await reach(call, ctx, driver, place, state)).sr
  } catch (error) {
    // Of an SR that was attached just now, a place that is missing proves nothing: it may come back.
    if (!(error instanceof StorageError) || !(error.kind === 'notFound' || (state !== 'attached' && error.kind === 'placeMissing'))) throw error
    if (state === 'attached') await disconnect(call, ctx, driver, attachedRecord)
    call.engine.records.removeSr(params.sr_uuid)
    return { changed: false }
  }
  const contents = await withGuard(call, params.sr_uuid, sr, async () => {
    await sr.recover(ctx)
    if (supports(sr, 'collect')) await removeGarbage(call, ctx, sr)
    return sr.scan(ctx)
  }).catch(asDriverError(place.type))
  if (contents.vdis.length > 0) {
    throw new StorageError('notEmpty', `SR ${params.sr_uuid} still holds ${contents.vdis.length} VDI${contents.vdis.length === 1 ? '' : 's'}, the first is ${contents.vdis[0]?.uuid ?? ''}`, {
      layer: 'engine', remedy: 'Delete them first; smctl sr scan lists them', details: { sr_uuid: params.sr_uuid, vdis: contents.vdis.length },
    })
  }
  await disconnect(call, ctx, driver, attachedRecord)
  // Remembered before the place is cleaned: a repeat after a crash then knows why it finds nothing there.
  call.engine.records.putSr({ uuid: params.sr_uuid, ...place })
  await erase(ctx, place.deviceConfig).catch(asDriverError(place.type))
  call.engine.records.removeSr(params.sr_uuid)
  return { changed: true }
}

const contentType: Handler<'SR.content_type'> = async (call, params) => {
  const { record } = admit(call, 'SR.content_type', params.sr_uuid)
  const type = record?.type ?? call.place?.type
  if (type === undefined) throw notAttached(params.sr_uuid, record)
  return { content_type: (await call.engine.drivers.load(type)).contentType }
}

const visibleContents = async (call: Call, uuid: SrUuid, driver: Driver, contents: SrContents): Promise<Result<'SR.scan'>> => {
  const now = call.engine.clock.now()
  const attached = new Map(call.engine.records.attachments(uuid).map((a) => [a.vdi, a.mode]))
  return {
    uuid,
    physical_size: contents.stat.physicalSize,
    physical_utilisation: contents.stat.physicalUtilisation,
    virtual_allocation: contents.virtualAllocation,
    free: contents.stat.free,
    default_vdi_visibility: driver.defaultVdiVisibility,
    name: contents.stat.name,
    description: contents.stat.description,
    ...(contents.stat.warnings === undefined ? {} : { warnings: [...contents.stat.warnings] }),
    vdis: await mapInSlices(contents.vdis, 500, (vdi) => vdiToWire(vdi, now, attached.get(vdi.uuid))),
  }
}

const scan: Handler<'SR.scan'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  const ctx = ctxFor(call, params.sr_uuid)
  await sr.recover(ctx).catch(asDriverError(driver.type))
  return visibleContents(call, params.sr_uuid, driver, await sr.scan(ctx).catch(asDriverError(driver.type)))
}

const stat: Handler<'SR.stat'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  const found = await sr.stat(ctxFor(call, params.sr_uuid)).catch(asDriverError(driver.type))
  return {
    uuid: params.sr_uuid,
    type: driver.type,
    name: found.name,
    description: found.description,
    physical_size: found.physicalSize,
    physical_utilisation: found.physicalUtilisation,
    free: found.free,
    content_type: driver.contentType,
    features: [...sr.features],
    ...(found.warnings === undefined ? {} : { warnings: [...found.warnings] }),
  }
}

const setNames: Handler<'SR.set_names'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (!supports(sr, 'names')) throw notOffered(driver.type, 'names')
  const ctx = ctxFor(call, params.sr_uuid)
  const before = await sr.stat(ctx).catch(asDriverError(driver.type))
  const changed = (params.name ?? before.name) !== before.name || (params.description ?? before.description) !== before.description
  if (changed) {
    await sr.setSrNames(ctx, {
      ...(params.name === undefined ? {} : { name: params.name }),
      ...(params.description === undefined ? {} : { description: params.description }),
    }).catch(asDriverError(driver.type))
  }
  return { changed }
}

const orphans: Handler<'SR.orphans'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (!supports(sr, 'verify')) throw notOffered(driver.type, 'verify')
  return { orphans: (await sr.orphans(ctxFor(call, params.sr_uuid)).catch(asDriverError(driver.type))).map((orphan) => ({ ...orphan })) }
}

const verify: Handler<'SR.verify'> = async (call, params) => {
  const { sr, driver } = await openAttached(call, params.sr_uuid)
  if (!supports(sr, 'verify')) throw notOffered(driver.type, 'verify')
  const ctx = ctxFor(call, params.sr_uuid)
  if (params.repair === 'yes') {
    const busy = attachedVdis(call, params.sr_uuid)
    if (busy !== undefined) throw busy
    await sr.recover(ctx).catch(asDriverError(driver.type))
  }
  const vdis = params.vdi_uuid === undefined ? (await sr.scan(ctx).catch(asDriverError(driver.type))).vdis.length : 1
  if (params.vdi_uuid !== undefined && (await sr.vdi(ctx, params.vdi_uuid).catch((error: unknown) => ({ problem: reportError(toStorageError(error, `driver:${driver.type}`)) }))) === undefined) {
    throw new StorageError('notFound', `There is no VDI ${params.vdi_uuid} in SR ${params.sr_uuid}`, { field: 'vdi_uuid', layer: 'engine' })
  }
  const findings = await sr.verify(ctx, params.vdi_uuid, params.repair).catch(asDriverError(driver.type))
  return {
    checked: vdis,
    findings: findings.map(({ vdi, ...rest }) => ({ ...(vdi === undefined ? {} : { vdi_uuid: vdi }), ...rest })),
  }
}

export const notOffered = (type: string, feature: string): StorageError =>
  new StorageError('notSupported', `SRs of type ${type} do not offer: ${feature}`, {
    layer: 'engine', remedy: 'smctl driver list shows what each type offers', details: { feature },
  })

export const srOperations = {
  'SR.probe': probe,
  'SR.create': create,
  'SR.introduce': introduce,
  'SR.reidentify': reidentify,
  'SR.forget': forget,
  'SR.list': list,
  'SR.attach': attach,
  'SR.detach': detach,
  'SR.delete': remove,
  'SR.content_type': contentType,
  'SR.scan': scan,
  'SR.stat': stat,
  'SR.set_names': setNames,
  'SR.orphans': orphans,
  'SR.verify': verify,
}
