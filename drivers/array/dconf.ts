/** The keys of an SR on array volumes, and what they come to. Secrets of the array itself are with its configuration (smctl array add), not here. */
import * as z from 'zod'
import { replicationModes } from '../../core/array/replication.ts'
import { StorageError } from '../../core/errors.ts'
import { createPair } from '../../stores/array-volumes/sides.ts'
import type { ArrayStore } from '../../stores/array-volumes/store.ts'
import { chapOf, targetShape } from '../../stores/iscsi-targets/dconf.ts'

const arrayName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be the name of a configured array (smctl array list)')
const objectName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be up to 64 letters, digits, dots, dashes and underscores')
const seconds = (low: number, high: number) =>
  z.string().regex(/^\d{1,8}$/, 'must be whole seconds').refine((text) => Number(text) >= low && Number(text) <= high, `must be from ${low} to ${high}`)

export const arrayDconf = {
  backend: arrayName.default('DEFAULT').meta({ description: 'The array, by the name it was configured under: smctl array add', array: true, examples: ['left'] }),
  cpg: objectName.meta({ description: 'Pool of the array (common provisioning group) that VDIs are made in', examples: ['SSD_r6'] }),
  group: objectName.optional().meta({ description: 'Group that every VDI is replicated in; made with the first VDI when it is missing, removed with the last', examples: ['Prod_RCG'] }),
  peer: arrayName.optional().meta({ description: 'The other array of a replicated SR, by its configured name', array: true, examples: ['right'] }),
  replication_mode: z.enum(replicationModes).default('periodic').meta({ description: 'Of a group that is made' }),
  sync_period: seconds(300, 31_622_400).optional().meta({ description: 'Seconds between two cycles of a periodic group that is made (900)' }),
  mount_conflict_delay: seconds(0, 3600).optional().meta({ description: 'Seconds that an attachment waits for another host to let go of the VDI, which is then taken away from it; absent: it is refused' }),
  localIQN: targetShape.localIQN, chapuser: targetShape.chapuser, chappassword: targetShape.chappassword, chapuser_in: targetShape.chapuser_in, chappassword_in: targetShape.chappassword_in,
  multipath: targetShape.multipath, login_timeout: targetShape.login_timeout, replacement_timeout: targetShape.replacement_timeout,
} as const

const ArrayDconf = z.object(arrayDconf)
export type ArrayDconf = z.output<typeof ArrayDconf>

const wrong = (key: string, found: string, remedy: string): StorageError => new StorageError('invalidArgument', `device_config.${key}: ${found}`, { layer: 'driver:array', field: `device_config.${key}`, remedy })

const check = ({ group, peer, backend, replication_mode: mode, sync_period: period }: ArrayDconf): void => {
  if (group !== undefined && peer === undefined) throw wrong('peer', 'is missing, but group is given', 'Name the other array: peer=NAME')
  if (group === undefined && peer !== undefined) throw wrong('group', 'is missing, but peer is given', 'Name the group that replicates: group=NAME')
  if (peer === backend) throw wrong('peer', `is the array itself: ${backend}`, 'Name the other array')
  if (period !== undefined && mode !== 'periodic') throw wrong('sync_period', `is given with replication_mode ${mode}`, 'Leave it out, or use replication_mode=periodic')
}

export const storeOf = (raw: ArrayDconf): ArrayStore => {
  check(raw)
  chapOf(raw)
  return {
    pair: createPair({ backend: raw.backend, cpg: raw.cpg, group: raw.group, peer: raw.peer }),
    connection: {
      localIQN: raw.localIQN, chapuser: raw.chapuser, chappassword: raw.chappassword, chapuser_in: raw.chapuser_in, chappassword_in: raw.chappassword_in, multipath: raw.multipath,
      login_timeout: raw.login_timeout, replacement_timeout: raw.replacement_timeout, conflictDelay: raw.mount_conflict_delay === undefined ? undefined : Number(raw.mount_conflict_delay),
    },
    replication: { mode: raw.replication_mode, periodSeconds: raw.sync_period === undefined ? undefined : Number(raw.sync_period) },
  }
}
