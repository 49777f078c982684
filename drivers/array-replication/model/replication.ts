/**
 * Replication of the model array: asynchronous (or synchronous) units, a number per initiator group as identity, and other execution
 * sites than most arrays: sync and restore run at the target, reverse at the source, and both have a part at the other site.
 */
import { copyFileSync } from 'node:fs'
import type { ArrayReplication, RecoveryPoint, ReplicationTraits, UnitRole } from '../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { groupFor, presentationsOf, presentTo } from './access.ts'
import { copyUnit, fill, makeBlank, removeCopy, removeVolumeFile, volumeFile } from './data.ts'
import { known, layer, newId, peerOf, readState, tick, withFirmware, type Firmware, type ModelUnit } from './state.ts'
import { inCopy, peerUnit, runCycle, shownUnit, startSync, syncStatus } from './units.ts'

export const modelTraits: ReplicationTraits = {
  modes: ['asynchronous', 'synchronous'],
  units: ['group', 'device'],
  identification: 'initiator+number',
  sites: { sync: 'target', reverse: 'source', restore: 'target' },
  prepares: { reverse: true, restore: true },
  recoveryPoints: true,
  dynamicAccess: true,
}

const wrongRole = (unit: ModelUnit, wanted: string): StorageError =>
  new StorageError('wrongRole', `${unit.name} is ${unit.role} on this array; that needs ${wanted}`, { layer, remedy: 'Look at the roles of both arrays' })

const needRole = (unit: ModelUnit, ...roles: readonly UnitRole[]): void => {
  if (!roles.includes(unit.role)) throw wrongRole(unit, roles.join(' or '))
}

const clearPresentations = ({ own }: Firmware, unit: ModelUnit): void => {
  for (const { volume } of unit.members) known(own.volumes, volume, 'volume').presentations = []
}

const pointFor = (unit: ModelUnit, id: string): RecoveryPoint => {
  const point = unit.points.find((candidate) => candidate.id === id)
  if (point !== undefined) return point
  throw new StorageError('notFound', `${unit.name} has no recovery point ${JSON.stringify(id.slice(0, 64))}`, { layer, field: 'recoveryPoint', remedy: 'List the points and take one of those' })
}

/** The copy of a complete point: the one asked for, or the content of the target as it is. */
const originOf = (unit: ModelUnit, wanted: string | undefined): { readonly copy: string; readonly point: { id: string; timeMs: number } } => {
  if (wanted !== undefined) return { copy: wanted, point: { id: wanted, timeMs: pointFor(unit, wanted).timeMs } }
  if (unit.current === undefined || unit.lastConsistentMs === undefined) {
    throw new StorageError('wouldLoseData', `${unit.name} has no complete copy on this array`, { layer, remedy: 'Wait for the first sync' })
  }
  return { copy: unit.current, point: { id: 'latest', timeMs: unit.lastConsistentMs } }
}

/** Becomes the receiving side: its own content is its first, incomplete cycle until the new source's has arrived. */
const becomeTarget = (directory: string, firmware: Firmware, unit: ModelUnit): void => {
  const cycle = newId(firmware.own, 'cycle')
  copyUnit(directory, firmware.own, unit, cycle)
  unit.role = 'target'
  unit.current = cycle
  unit.transfer = 'initial'
  delete unit.lastConsistentMs
  delete unit.demotedMs
  clearPresentations(firmware, unit)
}

export const modelReplication = (directory: string): ArrayReplication => {
  const on = <T>(id: string, work: (firmware: Firmware, unit: ModelUnit) => T, effect: 'read' | 'write' = 'write'): T =>
    withFirmware(directory, (firmware) => work(firmware, known(firmware.own.units, id, 'unit')), effect)
  const quick = async (ctx: ArrayCtx, work: () => void): Promise<void> => {
    ctx.signal.throwIfAborted()
    work()
  }

  return {
    async peers() {
      const state = readState(directory)
      return [{ id: state.peer.id, name: state.peer.name, link: withFirmware(directory, ({ peer }) => peer !== undefined, 'read') ? 'up' : 'down' }]
    },
    units: async () => withFirmware(directory, (firmware) => Object.entries(firmware.own.units).map(([id, unit]) => shownUnit(firmware, id, unit)), 'read'),
    unit: async (_ctx, id) => withFirmware(directory, (firmware) => {
      const unit = Object.hasOwn(firmware.own.units, id) ? firmware.own.units[id] : undefined
      return unit === undefined ? undefined : shownUnit(firmware, id, unit)
    }, 'read'),
    setMark: async (_ctx, id, key, value) => on(id, (_firmware, unit) => {
      if (value === undefined) delete unit.marks[key]
      else unit.marks[key] = value
    }),

    startSync: async (_ctx, id) => on(id, startSync),
    syncStatus: async (_ctx, id, session) => on(id, (firmware, unit) => syncStatus(firmware, unit, session)),
    pause: async (ctx, id) => quick(ctx, () => on(id, ({ peer }, unit) => {
      needRole(unit, 'source', 'target', 'demoted')
      // Also of one that a lost link has interrupted: it stays paused when the link is back.
      for (const side of [unit, peerUnit(peer, unit.key)]) if (side !== undefined && ['running', 'interrupted'].includes(side.transfer)) side.transfer = 'paused'
    })),
    resume: async (ctx, id) => quick(ctx, () => on(id, (firmware, unit) => {
      const other = peerUnit(peerOf(firmware), unit.key)
      if (other === undefined || [unit.role, other.role].sort().join() !== 'source,target') throw wrongRole(unit, 'source here and target there, or the reverse')
      for (const side of [unit, other]) if (side.transfer !== 'initial') side.transfer = 'running'
      // What was written meanwhile is not on the target yet: synchronous means that it is, before the next write is acknowledged.
      if (unit.mode === 'synchronous') runCycle(firmware, unit)
    })),

    keepPoint: async (_ctx, id, name, purpose) => on(id, (firmware, unit) => {
      const kept = unit.points.find((point) => point.name === name)
      if (kept !== undefined) return kept
      const point: RecoveryPoint = {
        id: newId(firmware.own, 'point'), name, purpose, consistency: 'crash',
        timeMs: unit.role === 'target' && unit.lastConsistentMs !== undefined ? unit.lastConsistentMs : tick(firmware.own),
      }
      copyUnit(directory, firmware.own, unit, point.id)
      unit.points.push(point)
      return point
    }),
    points: async (_ctx, id) => on(id, (_firmware, unit) => unit.points, 'read'),
    removePoint: async (_ctx, id, point) => {
      on(id, (_firmware, unit) => (unit.points = unit.points.filter((candidate) => candidate.id !== point)))
      removeCopy(directory, point)
    },

    demote: async (ctx, id) => quick(ctx, () => on(id, (firmware, unit) => {
      if (unit.role === 'demoted') return
      needRole(unit, 'source')
      clearPresentations(firmware, unit)
      unit.role = 'demoted'
      unit.demotedMs = tick(firmware.own)
    })),
    undemote: async (ctx, id) => quick(ctx, () => on(id, ({ peer }, unit) => {
      if (unit.role === 'source') return
      needRole(unit, 'demoted')
      if (peerUnit(peer, unit.key)?.role === 'promoted') throw wrongRole(unit, 'a peer that is not promoted')
      unit.role = 'source'
      delete unit.demotedMs
    })),
    promote: async (ctx, id, want) => quick(ctx, () => on(id, (firmware, unit) => {
      if (unit.role === 'promoted') return
      needRole(unit, 'target')
      const { copy } = originOf(unit, want.recoveryPoint)
      // 1 the bytes, 2 the state: until the second the unit is a target, and a repeat copies again.
      for (const { volume } of unit.members) fill(directory, volume, inCopy(directory, copy, volume))
      unit.role = 'promoted'
      unit.transfer = 'stopped'
      const other = peerUnit(firmware.peer, unit.key)
      if (other !== undefined) other.transfer = 'stopped'
    })),

    prepareReverse: async (ctx, id) => quick(ctx, () => on(id, (_firmware, unit) => {
      needRole(unit, 'promoted', 'source')
      unit.reversePrepared = unit.role === 'promoted'
    })),
    reverse: async (ctx, id) => quick(ctx, () => on(id, (firmware, unit) => {
      if (unit.role === 'target') return
      needRole(unit, 'demoted')
      const other = peerUnit(peerOf(firmware), unit.key)
      if (other === undefined || (other.role !== 'source' && !(other.role === 'promoted' && other.reversePrepared))) throw wrongRole(unit, 'a peer that is promoted and prepared')
      other.role = 'source'
      other.transfer = 'initial'
      other.reversePrepared = false
      delete other.lastConsistentMs
      becomeTarget(directory, firmware, unit)
    })),
    prepareRestore: async (ctx, id) => quick(ctx, () => on(id, (_firmware, unit) => {
      needRole(unit, 'demoted', 'source')
      unit.role = 'source'
      if (unit.transfer !== 'initial') unit.transfer = 'stopped'
      delete unit.demotedMs
    })),
    restore: async (ctx, id) => quick(ctx, () => on(id, (firmware, unit) => {
      if (unit.role === 'target') return
      needRole(unit, 'promoted')
      const other = peerUnit(peerOf(firmware), unit.key)
      if (other?.role !== 'source') throw wrongRole(unit, 'a peer that is prepared for the restore')
      other.transfer = 'initial'
      delete other.lastConsistentMs
      becomeTarget(directory, firmware, unit)
    })),

    startTest: async (_ctx, id, want) => on(id, (firmware, unit) => {
      const { own } = firmware
      const shown = (): ReturnType<typeof shownUnit>['testCopies'][number] => {
        const test = shownUnit(firmware, id, unit).testCopies.find((copy) => copy.id === want.id)
        if (test === undefined) throw new StorageError('driverBug', 'the test copy vanished', { layer })
        return test
      }
      if (unit.tests.some((test) => test.id === want.id && test.complete)) return shown()
      if (unit.tests.some((test) => test.id !== want.id)) throw new StorageError('busy', `A test of ${unit.name} is active`, { layer, remedy: 'Stop it first' })
      needRole(unit, 'target')
      const { copy, point } = originOf(unit, want.recoveryPoint)
      const test = { id: want.id, complete: true, point, copies: unit.members.map(({ volume, key }) => {
        const made = newId(own, 'test')
        const original = known(own.volumes, volume, 'volume')
        own.volumes[made] = { ...original, name: `${original.name}-test`, number: own.next, parent: volume, presentations: [] }
        fill(directory, made, inCopy(directory, copy, volume))
        const group = groupFor(own, want.initiators[key] ?? want.initiators[''] ?? [])
        if (group !== undefined) presentTo(own, own.volumes[made], group)
        return { key, volume: made }
      }) }
      unit.tests = [test]
      return shown()
    }),
    stopTest: async (_ctx, id, test) => {
      const gone = on(id, ({ own }, unit) => {
        const copies = unit.tests.filter((one) => one.id === test).flatMap((one) => one.copies.map(({ volume }) => volume))
        for (const volume of copies) delete own.volumes[volume]
        unit.tests = unit.tests.filter((one) => one.id !== test)
        return copies
      })
      for (const volume of gone) removeVolumeFile(directory, volume)
    },

    presentations: async (_ctx, id) => on(id, ({ own }, unit) => presentationsOf(own, unit.members.map(({ volume }) => volume)), 'read'),
    present: async (_ctx, id, initiators) => on(id, (firmware, unit) => {
      needRole(unit, 'source', 'promoted')
      for (const { volume, key } of unit.members) {
        const group = groupFor(firmware.own, initiators[key] ?? initiators[''] ?? [])
        // What was presented to others before is taken away: the request says who may reach it.
        const kept = known(firmware.own.volumes, volume, 'volume')
        kept.presentations = kept.presentations.filter((one) => one.group === group)
        if (group !== undefined) presentTo(firmware.own, kept, group)
      }
      return shownUnit(firmware, id, unit).members
    }),
    unpresent: async (_ctx, id) => on(id, (firmware, unit) => clearPresentations(firmware, unit)),

    adopt: async (_ctx, id) => on(id, (_firmware, unit) => {
      needRole(unit, 'source', 'target')
      unit.naturalRole = unit.role === 'source' ? 'source' : 'target'
    }),
    remove: async (_ctx, id) => withFirmware(directory, (firmware) => {
      const unit = firmware.own.units[id]
      if (unit === undefined) return
      // The data stays: a target's content becomes its volumes'.
      if (unit.role === 'target' && unit.current !== undefined) for (const { volume } of unit.members) fill(directory, volume, inCopy(directory, unit.current, volume))
      delete firmware.own.units[id]
    }),
    create: async (_ctx, want) => withFirmware(directory, (firmware) => {
      const peer = peerOf(firmware)
      if (want.peer !== peer.id) throw new StorageError('notFound', `There is no peer ${want.peer}`, { layer, field: 'peer', remedy: `The peer is ${peer.id}` })
      if (Object.values(firmware.own.units).some(({ name }) => name === want.name)) throw new StorageError('alreadyExists', `There is a unit ${want.name}`, { layer, field: 'name', remedy: 'Take another name' })
      const key = `key-${newId(firmware.own, firmware.own.id)}`
      const members = want.volumes.map((volume) => twinFor(firmware, key, volume))
      const base = {
        key, kind: want.kind, name: want.name, mode: want.mode, ...(want.periodSeconds === undefined ? {} : { periodSeconds: want.periodSeconds }),
        transfer: 'initial' as const, reversePrepared: false, marks: {}, points: [], tests: [], sessions: {},
      }
      const id = newId(firmware.own, 'unit')
      const unit: ModelUnit = { ...structuredClone(base), naturalRole: 'source', role: 'source', members: members.map(({ volume, key: one }) => ({ volume, key: one })) }
      firmware.own.units[id] = unit
      peer.units[newId(peer, 'unit')] = { ...structuredClone(base), naturalRole: 'target', role: 'target', members: members.map(({ other, key: one }) => ({ volume: other, key: one })) }
      return shownUnit(firmware, id, unit)
    }),
    addVolume: async (_ctx, id, volume) => on(id, (firmware, unit) => {
      if (unit.members.some((member) => member.volume === volume)) return shownUnit(firmware, id, unit)
      needRole(unit, 'source')
      const other = peerUnit(peerOf(firmware), unit.key)
      if (other?.role !== 'target') throw wrongRole(unit, 'a peer that is the target')
      const { other: twin, key } = twinFor(firmware, unit.key, volume)
      unit.members.push({ volume, key })
      other.members.push({ volume: twin, key })
      // The next cycle brings all of it; what the target has until then is complete without it.
      if (other.current !== undefined) copyFileSync(volumeFile(firmware.own.peer.directory, twin), inCopy(firmware.own.peer.directory, other.current, twin))
      if (unit.mode === 'synchronous' && unit.transfer === 'running') runCycle(firmware, unit)
      return shownUnit(firmware, id, unit)
    }),
    removeVolume: async (_ctx, id, volume) => on(id, (firmware, unit) => {
      const member = unit.members.find((one) => one.volume === volume)
      if (member === undefined) return shownUnit(firmware, id, unit)
      needRole(unit, 'source')
      const peer = peerOf(firmware)
      const other = peerUnit(peer, unit.key)
      const twin = other?.members.find(({ key }) => key === member.key)
      if (other !== undefined && twin !== undefined) {
        if (other.current !== undefined) fill(firmware.own.peer.directory, twin.volume, inCopy(firmware.own.peer.directory, other.current, twin.volume))
        other.members = other.members.filter((one) => one !== twin)
      }
      unit.members = unit.members.filter((one) => one !== member)
      return shownUnit(firmware, id, unit)
    }),
  }
}

/** The volume that a new member is copied to, under the same name. */
const twinFor = (firmware: Firmware, unitKey: string, volume: string): { readonly volume: string; readonly other: string; readonly key: string } => {
  const peer = peerOf(firmware)
  const original = known(firmware.own.volumes, volume, 'volume')
  const { parent: _parent, ...plain } = original
  const other = newId(peer, 'volume')
  peer.volumes[other] = { ...plain, number: peer.next, presentations: [] }
  makeBlank(firmware.own.peer.directory, other, original.size)
  return { volume, other, key: `${unitKey}/${volume}` }
}
