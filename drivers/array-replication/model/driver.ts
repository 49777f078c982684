/**
 * A replicating array over plain files: real bytes, durable state, a link that can be cut. The bed that the replication engine and its
 * front ends are tested on, and a complete example for authors of array drivers. Two sites are two directories; any process can open one.
 */
import * as z from 'zod'
import type { ArrayAccess } from '../../../core/array/contract.ts'
import { defineArray } from '../../../core/array/define-array.ts'
import type { AccessGroup, ItemResult } from '../../../core/array/types.ts'
import { reportError, StorageError, toStorageError } from '../../../core/errors.ts'
import { GiB } from '../../../core/units.ts'
import { groupsOf, presentationsOf, presentTo, refuseUsed, sameInitiators } from './access.ts'
import { modelReplication, modelTraits } from './replication.ts'
import { known, layer, presentable, presentables, readState, withFirmware, type ModelState } from './state.ts'
import { modelMetadata } from './metadata.ts'
import { maxSnapshots, modelClones, modelQos, modelSnapshots, modelVolumes, shownById } from './volumes.ts'

const always = { level: 'online', completion: 'sync' } as const
const never = { level: 'unsupported', completion: 'sync', reason: 'notImplemented' } as const

const features = {
  accessControl: { ...always, limit: -1 }, iscsi: never, resize: always, shrink: always, snapshot: { ...always, limit: maxSnapshots }, multiSnapshot: always,
  restore: { level: 'offline', completion: 'sync' }, clone: { ...always, limit: -1 }, cloneFromSnapshot: always, split: { level: 'online', completion: 'async' }, qos: always, thin: always, replication: always,
} as const

const modelAccess = (directory: string): ArrayAccess => {
  const on = <T>(work: (state: ModelState) => T, effect: 'read' | 'write' = 'write'): T => withFirmware(directory, ({ own }) => work(own), effect)
  const each = <T>(items: readonly string[], work: (state: ModelState, item: string) => T): readonly ItemResult<T>[] => items.map((item) => {
    try {
      return { item, value: on((state) => work(state, item)), warnings: [] }
    } catch (error) {
      return { item, warnings: [], error: reportError(toStorageError(error, layer)) }
    }
  })
  const group = (state: ModelState, name: string): AccessGroup => ({ name, initiators: known(state.groups, name, 'access group') })
  return {
    groups: async (_ctx, id) => on((state) => groupsOf(state, id), 'read'),
    createGroups: async (_ctx, groups) => each(groups.map(({ name }) => name), (state, name) => {
      const wanted = groups.find((one) => one.name === name)?.initiators ?? []
      const there = Object.hasOwn(state.groups, name) ? state.groups[name] : undefined
      if (there !== undefined && !sameInitiators(there, wanted)) throw new StorageError('alreadyExists', `Access group ${name} has other initiators`, { layer, field: 'name', remedy: 'Take another name, or change the group' })
      state.groups[name] = [...wanted]
      return group(state, name)
    }),
    removeGroups: async (_ctx, names) => each(names, (state, name) => {
      refuseUsed(state, name)
      delete state.groups[name]
      return undefined
    }),
    renameGroup: async (_ctx, from, to) => on((state) => {
      const members = known(state.groups, from, 'access group')
      if (Object.hasOwn(state.groups, to)) throw new StorageError('alreadyExists', `There is an access group ${to}`, { layer, field: 'to', remedy: 'Take another name' })
      delete state.groups[from]
      state.groups[to] = members
      for (const [, one] of presentables(state)) for (const presentation of one.presentations) if (presentation.group === from) presentation.group = to
      return group(state, to)
    }),
    addToGroup: async (_ctx, name, initiators) => on((state) => {
      const members = known(state.groups, name, 'access group')
      members.push(...initiators.filter(({ kind, id }) => !members.some((one) => one.kind === kind && one.id === id)))
      return group(state, name)
    }),
    removeFromGroup: async (_ctx, name, initiators) => on((state) => {
      state.groups[name] = known(state.groups, name, 'access group').filter(({ kind, id }) => !initiators.some((one) => one.kind === kind && one.id === id))
      return group(state, name)
    }),
    presentations: async (_ctx, volumes) => on((state) => presentationsOf(state, volumes), 'read'),
    present: async (_ctx, id, groups) => {
      on((state) => groups.forEach((name) => presentTo(state, presentable(state, id), name)))
      return shownById(directory, id)
    },
    unpresent: async (_ctx, id, groups) => {
      on((state) => {
        const one = presentable(state, id)
        one.presentations = one.presentations.filter((presentation) => !groups.includes(presentation.group))
      })
      return shownById(directory, id)
    },
  }
}

export const modelArray = defineArray({
  type: 'model',
  title: 'Model array over plain files',
  summary: 'A replicating array in two directories, for tests, rehearsals and authors of array drivers',
  contract: 1,
  protocols: ['iscsi', 'fc'],
  features,
  limits: { minVolumeSize: 4096, maxVolumeSize: 64 * GiB, sizeStep: 4096, maxNameLength: 64 },
  customNames: { snapshot: true, clone: true },
  replication: modelTraits,
  example: { directory: '/var/lib/model-arrays/a', password: 'secret' },
  connection: z.strictObject({
    directory: z.string().startsWith('/').meta({ description: 'Absolute path of the directory of this array', role: 'address' }),
    password: z.string().min(1).optional().meta({ secret: true, role: 'password', description: 'Any text; shows that secrets stay secret' }),
  }),
  async connect(_ctx, { directory }) {
    // Says at once when there is none.
    readState(directory)
    return {
      type: 'model',
      capabilities: async () => features,
      ...modelVolumes(directory),
      close: async () => undefined,
      access: modelAccess(directory),
      snapshots: modelSnapshots(directory),
      clones: modelClones(directory),
      qos: modelQos(directory),
      replication: modelReplication(directory),
      metadata: modelMetadata(directory),
    }
  },
})
