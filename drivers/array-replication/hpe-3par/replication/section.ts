/** The replication section of an open array: each function of the contract, and where it is done. */
import type { ArrayReplication, ReplicationTraits, ReplicationUnit } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { presentationOf } from '../access.ts'
import type { Near } from '../near.ts'
import { exportsOf } from '../volumes.ts'
import { writeMark } from './marks.ts'
import { asPoint, keepPoint, listPoints, memberKeys, removePoint, startTest, stopTest } from './points.ts'
import { endTemplates, presentTo } from './presentation.ts'
import { listPeers, listUnits, needGroup, noUnit, readUnit } from './read.ts'
import { addVolume, createUnit, removeUnit, removeVolume } from './regroup.ts'
import { adopt, demote, pauseUnit, prepareRestore, promote, restore, resumeUnit, reverse, startSync, syncStatus, undemote } from './steps.ts'

export const traits: ReplicationTraits = {
  modes: ['synchronous', 'periodic', 'asynchronous'],
  units: ['group'],
  identification: 'wwn',
  sites: { sync: 'source', reverse: 'target', restore: 'source' },
  prepares: { reverse: false, restore: true },
  recoveryPoints: true,
  dynamicAccess: true,
}

export const replicationSection = (near: Near): ArrayReplication => {
  const whole = async (ctx: ArrayCtx, id: string): Promise<ReplicationUnit> => {
    const unit = await readUnit(ctx, near, id)
    if (unit === undefined) throw noUnit(id)
    return unit
  }
  const volumes = async (ctx: ArrayCtx, unit: string): Promise<readonly string[]> => (await needGroup(ctx, near, unit)).volumes.map(({ localVolumeName }) => localVolumeName)
  const unpresent = async (ctx: ArrayCtx, unit: string): Promise<void> => endTemplates(ctx, near, await volumes(ctx, unit))
  return {
    peers: async (ctx) => listPeers(ctx, near),
    units: async (ctx) => listUnits(ctx, near),
    unit: async (ctx, id) => readUnit(ctx, near, id),
    setMark: async (ctx, unit, key, value) => writeMark(ctx, near, unit, key, value),
    startSync: async (ctx, unit) => startSync(ctx, near, unit),
    syncStatus: async (ctx, unit, session) => syncStatus(ctx, near, unit, session),
    pause: async (ctx, unit) => pauseUnit(ctx, near, unit),
    resume: async (ctx, unit) => resumeUnit(ctx, near, unit),
    keepPoint: async (ctx, unit, name, purpose) => keepPoint(ctx, near, unit, name, purpose),
    points: async (ctx, unit) => (await listPoints(ctx, near, await needGroup(ctx, near, unit))).map(asPoint),
    removePoint: async (ctx, unit, point) => removePoint(ctx, near, unit, point),
    demote: async (ctx, unit) => demote(ctx, near, unit, async () => unpresent(ctx, unit)),
    undemote: async (ctx, unit) => undemote(ctx, near, unit),
    promote: async (ctx, unit, want) => promote(ctx, near, unit, want),
    reverse: async (ctx, unit) => reverse(ctx, near, unit),
    prepareRestore: async (ctx, unit) => prepareRestore(ctx, near, unit),
    restore: async (ctx, unit) => restore(ctx, near, unit),
    startTest: async (ctx, unit, want) => startTest(ctx, near, unit, want),
    stopTest: async (ctx, unit, id) => stopTest(ctx, near, unit, id),
    presentations: async (ctx, unit) => (await exportsOf(ctx, near, await volumes(ctx, unit))).map((vlun) => presentationOf(vlun, true)),
    async present(ctx, unit, initiators) {
      await presentTo(ctx, near, await memberKeys(ctx, near, unit), initiators)
      return (await whole(ctx, unit)).members
    },
    unpresent,
    adopt: async (ctx, unit) => adopt(ctx, near, unit),
    remove: async (ctx, unit) => removeUnit(ctx, near, unit),
    async create(ctx, want) {
      await createUnit(ctx, near, want)
      return whole(ctx, want.name)
    },
    async addVolume(ctx, unit, volume) {
      await addVolume(ctx, near, unit, volume)
      return whole(ctx, unit)
    },
    async removeVolume(ctx, unit, volume) {
      await removeVolume(ctx, near, unit, volume)
      return whole(ctx, unit)
    },
  }
}
