/** Volumes, snapshots and clones of a model array. */
import { existsSync, renameSync, truncateSync } from 'node:fs'
import type { ArrayClones, ArrayQos, ArraySnapshots, OpenArray } from '../../../core/array/contract.ts'
import type { Outcome, Snapshot, Volume } from '../../../core/array/types.ts'
import { asWwid, type Wwid } from '../../../core/array/wwid.ts'
import { StorageError } from '../../../core/errors.ts'
import { contentFile, fill, makeBlank, makeCopy, removeCopy, removeVolumeFile, volumeFile } from './data.ts'
import { known, layer, newId, partId, peerOf, tick, withFirmware, type Firmware, type ModelState } from './state.ts'
import { inCopy, peerUnit } from './units.ts'

export const maxSnapshots = 32
const sizeStep = 4096

const qosValues: readonly string[] = ['gold', 'silver']

/** NAA 6 under the locally used part of the number space: array name and volume number. */
const wwidOf = (state: ModelState, number: number): Wwid => {
  let hash = 0x811c9dc5
  for (const char of state.id) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return asWwid(`6001405${'0'.repeat(9)}${hash.toString(16).padStart(8, '0')}${number.toString(16).padStart(8, '0')}`)
}

const shown = ({ own, directory }: Firmware, id: string): Volume => {
  const volume = known(own.volumes, id, 'volume')
  const unit = Object.entries(own.units).find(([, { members }]) => members.some((member) => member.volume === id))
  return {
    id, name: volume.name, wwid: wwidOf(own, volume.number), pool: 'pool', size: volume.size, provisioning: volume.provisioning,
    online: volume.online, writable: unit === undefined || unit[1].role === 'source' || unit[1].role === 'promoted',
    health: existsSync(contentFile(directory, own, id)) ? (volume.online ? 'ok' : 'offline') : 'error', says: volume.online ? 'online' : 'offline',
    presentedTo: volume.presentations.map(({ group }) => group),
    ...(volume.parent === undefined ? {} : { parent: volume.parent }), ...(volume.qos === undefined ? {} : { qos: volume.qos }),
    ...(unit === undefined ? {} : { replicationUnit: unit[0] }),
  }
}

/** A replicated volume grows on both arrays, the target first: it is never smaller than what is copied to it. */
const growTwin = (firmware: Firmware, id: string, size: number): void => {
  const unit = Object.values(firmware.own.units).find(({ members }) => members.some(({ volume }) => volume === id))
  if (unit === undefined) return
  if (unit.role !== 'source' || size < known(firmware.own.volumes, id, 'volume').size) throw refuse('busy', `${id} is replicated (${unit.role}): it can only grow, at the source`, 'Do it at the source array')
  const peer = peerOf(firmware)
  const key = unit.members.find(({ volume }) => volume === id)?.key
  const other = peerUnit(peer, unit.key)
  const twin = other?.members.find((member) => member.key === key)
  if (other === undefined || twin === undefined) return
  known(peer.volumes, twin.volume, 'volume').size = size
  truncateSync(volumeFile(firmware.own.peer.directory, twin.volume), size)
  if (other.current !== undefined) truncateSync(inCopy(firmware.own.peer.directory, other.current, twin.volume), size)
}

/** The part of a snapshot as what it is to a host: a volume that can only be read. */
const shownPart = (firmware: Firmware, snapshot: string, volume: string): Volume => {
  const part = known(known(firmware.own.snapshots, snapshot, 'snapshot').parts, volume, 'volume')
  return {
    id: partId(snapshot, volume), name: partId(snapshot, volume), wwid: wwidOf(firmware.own, part.number), pool: 'pool', size: part.size, provisioning: 'thin', online: true, writable: false,
    health: 'ok', says: 'online', parent: volume, presentedTo: part.presentations.map(({ group }) => group),
  }
}

export const shownById = (directory: string, id: string): Volume => withFirmware(directory, (firmware) => {
  const [snapshot = '', volume] = id.split('/')
  return volume === undefined ? shown(firmware, id) : shownPart(firmware, snapshot, volume)
}, 'read')

const done = <T>(value: T, changed = true): Outcome<T> => ({ kind: 'done', value, changed, warnings: [] })

const refuse = (kind: 'stillPresented' | 'hasDependents' | 'busy' | 'noSpace' | 'limitExceeded' | 'alreadyExists' | 'wouldLoseData' | 'sizeOutOfRange' | 'restoreNotSafe', message: string, remedy: string): StorageError =>
  new StorageError(kind, message, { layer, remedy })

const usedSize = (state: ModelState): number => Object.values(state.volumes).reduce((sum, { size }) => sum + size, 0)

export type ModelVolumes = Pick<OpenArray, 'list' | 'volume' | 'updateVolumes' | 'setOnline' | 'create' | 'resize' | 'remove' | 'pools' | 'ports' | 'info' | 'status' | 'storageNames' | 'job'>

export const modelVolumes = (directory: string): ModelVolumes => {
  const on = <T>(work: (firmware: Firmware) => T): T => withFirmware(directory, work)
  const list = async (_ctx: unknown, filter?: readonly string[]): Promise<readonly Volume[]> =>
    withFirmware(directory, (firmware) => Object.keys(firmware.own.volumes).filter((id) => filter === undefined || filter.includes(id)).map((id) => shown(firmware, id)), 'read')
  return {
    list,
    volume: async (ctx, id) => (await list(ctx, [id]))[0],
    updateVolumes: async (ctx, ids) => (await list(ctx, ids)).map((volume) => ({ ...volume, paths: [] })),
    setOnline: async (_ctx, id, online) => on((firmware) => {
      known(firmware.own.volumes, id, 'volume').online = online
      return shown(firmware, id)
    }),
    create: async (_ctx, want) => on((firmware) => {
      const { own } = firmware
      if (want.size <= 0 || want.size % sizeStep !== 0) throw refuse('sizeOutOfRange', `size: ${want.size} is no positive multiple of ${sizeStep}`, `Round it up to a multiple of ${sizeStep}`)
      const same = Object.entries(own.volumes).find(([, { name }]) => name === want.name)
      if (same !== undefined) {
        if (same[1].size === want.size && same[1].provisioning === want.provisioning) return done(shown(firmware, same[0]), false)
        throw refuse('alreadyExists', `There is a volume ${want.name} with other properties`, 'Take another name')
      }
      if (usedSize(own) + want.size > own.capacity) throw refuse('noSpace', `The array has ${own.capacity - usedSize(own)} bytes left`, 'Free some space there')
      const id = newId(own, 'volume')
      makeBlank(directory, id, want.size)
      own.volumes[id] = { name: want.name, number: own.next, size: want.size, provisioning: want.provisioning, online: true, presentations: [], ...(want.qos !== undefined && qosValues.includes(want.qos) ? { qos: want.qos } : {}) }
      return done(shown(firmware, id))
    }),
    resize: async (_ctx, id, size, shrink) => on((firmware) => {
      const volume = known(firmware.own.volumes, id, 'volume')
      if (size <= 0 || size % sizeStep !== 0) throw refuse('sizeOutOfRange', `size: ${size} is no positive multiple of ${sizeStep}`, `Round it up to a multiple of ${sizeStep}`)
      if (size < volume.size && !shrink) throw refuse('wouldLoseData', `${volume.name} has ${volume.size} bytes; ${size} would cut off the rest`, 'Say that it may shrink')
      const changed = volume.size !== size
      growTwin(firmware, id, size)
      truncateSync(volumeFile(directory, id), size)
      volume.size = size
      return done(shown(firmware, id), changed)
    }),
    remove: async (_ctx, id) => {
      on(({ own, directory: here }) => {
        const volume = own.volumes[id]
        if (volume === undefined) return
        if (volume.presentations.length > 0) throw refuse('stillPresented', `${volume.name} is presented to ${volume.presentations.map(({ group }) => group).join(', ')}`, 'Unpresent it first')
        const dependents = [...Object.entries(own.volumes).filter(([, { parent }]) => parent === id).map(([one]) => one), ...Object.entries(own.snapshots).filter(([, { volumes }]) => volumes.includes(id)).map(([one]) => one)]
        if (dependents.length > 0) throw refuse('hasDependents', `${volume.name} has dependents: ${dependents.join(', ')}`, 'Remove them first, or split the clones')
        if (shown({ own, directory: here }, id).replicationUnit !== undefined) throw refuse('busy', `${volume.name} is replicated`, 'End its replication first')
        delete own.volumes[id]
      })
      removeVolumeFile(directory, id)
    },
    pools: async () => withFirmware(directory, ({ own }) => [{ id: 'pool', name: 'pool', totalSize: own.capacity, freeSize: own.capacity - usedSize(own) }], 'read'),
    ports: async () => withFirmware(directory, ({ own }) => own.ports, 'read'),
    info: async () => withFirmware(directory, ({ own }) => ({
      id: own.id, name: own.name, vendor: 'Storage Manager', model: 'model array over plain files', version: '1', health: 'ok' as const, says: 'online',
      totalSize: own.capacity, usedSize: usedSize(own), freeSize: own.capacity - usedSize(own),
    }), 'read'),
    status: async () => ({ health: existsSync(directory) ? 'ok' : 'error', says: 'online' }),
    storageNames: async () => [],
    job: async (_ctx, id) => on((firmware) => {
      const job = known(firmware.own.jobs, id, 'job')
      if (job.polls > 0) {
        job.polls -= 1
        return { id, state: 'running', etaSeconds: job.polls + 1 }
      }
      const volume = firmware.own.volumes[job.clone]
      if (volume !== undefined) delete volume.parent
      return { id, state: 'succeeded', percent: 100, ...(volume === undefined ? {} : { value: shown(firmware, job.clone) }) }
    }),
  }
}

export const modelQos = (directory: string): ArrayQos => ({
  list: async () => qosValues.map((value) => ({ value, label: `${value} service` })),
  set: async (_ctx, id, value) => withFirmware(directory, ({ own }) => {
    if (!qosValues.includes(value)) throw new StorageError('invalidArgument', `There is no QoS value ${JSON.stringify(value.slice(0, 64))}`, { layer, field: 'qos', remedy: `The values are: ${qosValues.join(', ')}` })
    known(own.volumes, id, 'volume').qos = value
  }),
})

const shownSnapshot = (state: ModelState, id: string, snapshot: ModelState['snapshots'][string]): Snapshot => ({
  id, name: snapshot.name, createdMs: snapshot.createdMs, consistency: 'crash',
  members: snapshot.volumes.map((volume) => ({ volume, snapshot: partId(id, volume), wwid: wwidOf(state, snapshot.parts[volume]?.number ?? 0) })),
})

export const modelSnapshots = (directory: string): ArraySnapshots => {
  const count = (state: ModelState, volume?: string): number => Object.values(state.snapshots).filter(({ volumes }) => volume === undefined || volumes.includes(volume)).length
  const plan: ArraySnapshots['planRestore'] = async (_ctx, id, only) => withFirmware(directory, ({ own, directory: here }) => {
    const snapshot = known(own.snapshots, id, 'snapshot')
    const volumes = only === undefined ? snapshot.volumes : snapshot.volumes.filter((volume) => volume === only)
    if (volumes.length === 0) throw new StorageError('notFound', `Snapshot ${id} does not hold ${only ?? ''}`, { layer, field: 'volume', remedy: `It holds ${snapshot.volumes.join(', ')}` })
    const facts = volumes.map((volume) => shown({ own, directory: here }, volume))
    const unit = facts.find(({ replicationUnit }) => replicationUnit !== undefined)?.replicationUnit
    return { newerSnapshots: [], clones: [], otherVolumes: [], presentedTo: [...new Set(facts.flatMap(({ presentedTo }) => presentedTo))], ...(unit === undefined ? {} : { replicationUnit: unit }) }
  }, 'read')
  return {
    limit: async (_ctx, volume) => withFirmware(directory, ({ own }) => Math.max(0, maxSnapshots - count(own, volume)), 'read'),
    snapable: async (_ctx, volume) => withFirmware(directory, ({ own }) => (volume === undefined || Object.hasOwn(own.volumes, volume)) && count(own, volume) < maxSnapshots, 'read'),
    create: async (_ctx, volumes, name) => withFirmware(directory, ({ own }) => {
      for (const volume of volumes) {
        known(own.volumes, volume, 'volume')
        if (count(own, volume) >= maxSnapshots) throw refuse('limitExceeded', `${volume} has ${maxSnapshots} snapshots`, 'Remove some')
      }
      const id = newId(own, 'snapshot')
      makeCopy(directory, id, volumes.map((volume) => ({ from: contentFile(directory, own, volume), as: volume })))
      const snapshot = {
        name: name ?? id, createdMs: tick(own), volumes: [...volumes],
        // Numbers of their own, beyond those of volumes.
        parts: Object.fromEntries(volumes.map((volume, index) => [volume, { number: 0x4000_0000 + own.next * 256 + index, size: known(own.volumes, volume, 'volume').size, presentations: [] }])),
      }
      own.snapshots[id] = snapshot
      return done(shownSnapshot(own, id, snapshot))
    }),
    current: async (_ctx, volume) => withFirmware(directory, ({ own }) =>
      Object.entries(own.snapshots).filter(([, { volumes }]) => volume === undefined || volumes.includes(volume)).map(([id, snapshot]) => shownSnapshot(own, id, snapshot)), 'read'),
    planRestore: plan,
    async restore(ctx, id, only) {
      const affected = await plan(ctx, id, only)
      const others = [...affected.presentedTo.map((group) => `hosts of ${group}`), ...(affected.replicationUnit === undefined ? [] : [`replication unit ${affected.replicationUnit}`])]
      if (others.length > 0) throw refuse('restoreNotSafe', `Restoring ${id} would affect ${others.join(', ')}`, 'Unpresent the volumes and end their replication first')
      return withFirmware(directory, ({ own }) => {
        for (const volume of known(own.snapshots, id, 'snapshot').volumes) {
          if (only !== undefined && volume !== only) continue
          // Beside it, then in its place: a kill leaves the old or the new content.
          fill(directory, `${volume}.new`, inCopy(directory, id, volume))
          // It may have grown since.
          truncateSync(volumeFile(directory, `${volume}.new`), known(own.volumes, volume, 'volume').size)
          renameSync(volumeFile(directory, `${volume}.new`), volumeFile(directory, volume))
        }
        return done(undefined)
      })
    },
    remove: async (_ctx, id) => {
      withFirmware(directory, ({ own }) => {
        const clones = Object.entries(own.volumes).filter(([, { parent }]) => parent === id).map(([one]) => one)
        const presented = Object.values(own.snapshots[id]?.parts ?? {}).flatMap(({ presentations }) => presentations.map(({ group }) => group))
        if (presented.length > 0) throw refuse('busy', `Snapshot ${id} is presented to ${presented.join(', ')}`, 'Unpresent it first')
        if (clones.length > 0) throw refuse('busy', `Snapshot ${id} has clones: ${clones.join(', ')}`, 'Split or remove them first')
        delete own.snapshots[id]
      })
      removeCopy(directory, id)
    },
  }
}

export const modelClones = (directory: string): ArrayClones => {
  const copy = (volume: string, parent: string, from: (firmware: Firmware) => string, name: string | undefined): Outcome<Volume> => withFirmware(directory, (firmware) => {
    const { own } = firmware
    const original = known(own.volumes, volume, 'volume')
    const source = from(firmware)
    if (usedSize(own) + original.size > own.capacity) throw refuse('noSpace', 'The array is full', 'Free some space there')
    const id = newId(own, 'volume')
    fill(directory, id, source)
    const size = parent === volume ? original.size : own.snapshots[parent]?.parts[volume]?.size ?? original.size
    own.volumes[id] = { ...original, size, name: name ?? `${original.name}-${id}`, number: own.next, parent, presentations: [] }
    return done(shown(firmware, id))
  })
  return {
    limit: async () => -1,
    cloneable: async (_ctx, volume) => withFirmware(directory, ({ own }) => Object.hasOwn(own.volumes, volume), 'read'),
    clone: async (_ctx, volume, want) => copy(volume, volume, ({ own }) => contentFile(directory, own, volume), want.name),
    cloneFromSnapshot: async (_ctx, volume, snapshot, want) => copy(volume, snapshot, ({ own }) => {
      if (!known(own.snapshots, snapshot, 'snapshot').volumes.includes(volume)) throw new StorageError('notFound', `Snapshot ${snapshot} does not hold ${volume}`, { layer, field: 'volume', remedy: 'Take a volume of the snapshot' })
      return inCopy(directory, snapshot, volume)
    }, want.name),
    splittable: async (_ctx, clone) => withFirmware(directory, ({ own }) => own.volumes[clone]?.parent !== undefined, 'read'),
    split: async (_ctx, clone) => withFirmware(directory, (firmware) => {
      const volume = known(firmware.own.volumes, clone, 'volume')
      if (volume.parent === undefined) return done(shown(firmware, clone), false)
      // The same split again is the same job.
      const running = Object.entries(firmware.own.jobs).find(([, job]) => job.clone === clone)?.[0]
      if (running !== undefined) return { kind: 'started', job: running }
      const job = newId(firmware.own, 'job')
      firmware.own.jobs[job] = { clone, polls: firmware.own.slowSync }
      return { kind: 'started', job }
    }),
    current: async (_ctx, volume) => withFirmware(directory, (firmware) =>
      Object.entries(firmware.own.volumes).filter(([, { parent }]) => parent !== undefined && (volume === undefined || parent === volume || firmware.own.snapshots[parent]?.volumes.includes(volume) === true)).map(([id]) => shown(firmware, id)), 'read'),
  }
}
