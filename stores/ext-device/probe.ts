/** What ext SRs there are, or could be made; nothing is written, not even a journal is replayed. */
import type { Candidate, Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import { asSrUuid, isUuid } from '../../core/ids.ts'
import { inspectDevice, listDevices, type Inspection } from '../../host/blkid/inspect.ts'
import { volumeLabel } from '../../host/ext/build.ts'
import { srMountedOn } from '../../host/mount/mount.ts'
import { lookAt, type PlaceContents } from '../image-files/prepare.ts'
import { layer, type ExtPlace } from './place.ts'
import { lookInside } from './prepare.ts'

/** An SR here is known by the uuid of its file system: what lies in it without an identity can be adopted under that one only. */
const candidateOf = (deviceConfig: DeviceConfig, uuid: string | undefined, inside: PlaceContents): Candidate => {
  const base = { deviceConfig, complete: true, says: inside.says }
  if (inside.found === 'sr') {
    if (inside.sr?.uuid === uuid) return { ...base, found: 'sr', sr: inside.sr ?? {} }
    return { ...base, found: 'occupied', says: `${inside.says}, in a file system of uuid ${uuid ?? 'none'}: a copy that was not re-identified` }
  }
  if (inside.found === 'adoptable' && uuid !== undefined && isUuid(uuid)) return { ...base, found: 'adoptable', sr: { ...inside.sr, uuid: asSrUuid(uuid) } }
  if (inside.found === 'blank') return { ...base, found: 'occupied', says: 'An ext4 file system that holds nothing; an SR is made on a blank device only' }
  return { ...base, found: inside.found }
}

/** Where it is mounted by ourselves, the directory answers; else it is mounted for a look. */
const look = async (ctx: Ctx, { device }: Inspection): Promise<PlaceContents | undefined> => {
  const [where] = device.mountPoints
  if (where === undefined) return lookInside(ctx, device)
  return srMountedOn(ctx.host, where) === undefined ? undefined : lookAt(ctx.host.files, where)
}

const deep = async (ctx: Ctx, deviceConfig: DeviceConfig, inspection: Inspection): Promise<Candidate> => {
  const { contents } = inspection
  if (contents.found !== 'occupied' || contents.facts.type !== 'ext4') return { deviceConfig, complete: true, found: contents.found, says: contents.says }
  try {
    const inside = await look(ctx, inspection)
    return inside === undefined ? { deviceConfig, complete: true, found: 'occupied', says: contents.says } : candidateOf(deviceConfig, contents.facts.uuid, inside)
  } catch (error) {
    ctx.signal.throwIfAborted()
    return { deviceConfig, complete: true, found: 'unknown', says: `${contents.says}, but it cannot be looked into: ${toStorageError(error, layer).message}` }
  }
}

const shallow = (deviceConfig: DeviceConfig, { contents }: Inspection): Candidate => {
  const base = { deviceConfig, complete: true, says: contents.says }
  if (contents.found !== 'occupied') return { ...base, found: contents.found }
  const { type, label, uuid } = contents.facts
  const ours = type === 'ext4' && label === volumeLabel && uuid !== undefined && isUuid(uuid)
  return ours ? { ...base, found: 'sr', sr: { uuid: asSrUuid(uuid) } } : { ...base, found: 'occupied' }
}

/** Looks into the file system of one device. */
export const probeExt = async (ctx: Ctx, { device, field }: ExtPlace, deviceConfig: DeviceConfig): Promise<ProbeResult> => {
  const inspection = await inspectDevice(ctx, device, field)
  return { candidates: [await deep(ctx, deviceConfig, inspection)], tried: inspection.tried }
}

/** Lists what all devices of this host say of themselves, without looking into any. */
export const probeAllExt = async (ctx: Ctx, deviceConfigOf: (path: string) => DeviceConfig): Promise<ProbeResult> => {
  const tried: { step: string; said: string }[] = []
  const candidates: Candidate[] = []
  for (const { path } of await listDevices(ctx)) {
    ctx.signal.throwIfAborted()
    try {
      const inspection = await inspectDevice(ctx, path, 'device')
      tried.push(...inspection.tried)
      candidates.push(shallow(deviceConfigOf(path), inspection))
    } catch (error) {
      // It may vanish while it is looked at.
      if (!(error instanceof StorageError) || error.kind !== 'placeMissing') throw error
      tried.push({ step: `look at ${path}`, said: error.message })
    }
  }
  return { candidates, tried }
}
