/** dconf keys that choose LUNs of a target, and which LUNs they mean. */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'
import { isIdentity } from '../../host/scsi/identity.ts'
import type { Lun } from '../raw-luns/lun.ts'
import type { TargetDconf } from './dconf.ts'
import type { Target } from './target.ts'

const layer = 'store:iscsi-targets'

const list = (one: string, several: boolean): RegExp => new RegExp(several ? `^${one}(,${one})*$` : `^${one}$`)
const scsiId = '[A-Za-z0-9._:+-]{1,128}'

/** Which LUNs; `several`: more than one may be named, with commas between them. */
export const lunShape = (several: boolean) => ({
  SCSIid: z.string().max(4000).regex(list(scsiId, several), several ? 'must be SCSI ids, several of them separated by commas' : 'must be one SCSI id').optional()
    .meta({ description: `SCSI id of the LUN${several ? ', or of several LUNs' : ''}, as the probe lists it: the same disk on every host, whatever its number`, examples: ['36001405a1b2c3d4e5f60718293a4b5c6'] }),
  LUNid: z.string().regex(list(String.raw`\d{1,5}`, several), several ? 'must be numbers of LUNs, several of them separated by commas' : 'must be the number of one LUN').optional()
    .meta({ description: `Number of the LUN${several ? ', or of several LUNs' : ''}, in place of SCSIid; when the array has given it to another disk, that one is refused`, examples: ['0'] }),
  reservation: z.enum(['yes', 'no'], 'must be yes or no').default('yes')
    .meta({ description: 'yes: while the SR is attached the array refuses writes of all other hosts (SCSI persistent reservation). no: for arrays without reservations, when no other host is ever given these LUNs', examples: ['no'] }),
})

export const lunExample = { target: '192.0.2.10', targetIQN: 'iqn.2001-04.com.example:disks', SCSIid: '36001405a1b2c3d4e5f60718293a4b5c6' } as const

export interface LunDconf extends TargetDconf {
  readonly SCSIid?: string | undefined
  readonly LUNid?: string | undefined
  readonly reservation: 'yes' | 'no'
}

export interface Wanted {
  readonly key: 'SCSIid' | 'LUNid'
  readonly values: readonly string[]
}

/** What a dconf says about LUNs. invalidArgument: nothing, or in two ways, or one twice. */
export const wantedOf = ({ SCSIid, LUNid }: Pick<LunDconf, 'SCSIid' | 'LUNid'>): Wanted => {
  const given = SCSIid ?? LUNid
  if (given === undefined || (SCSIid !== undefined && LUNid !== undefined)) {
    throw new StorageError('invalidArgument', given === undefined ? 'device_config.SCSIid: is missing, and LUNid too' : 'device_config.SCSIid and device_config.LUNid are both given', {
      layer, field: 'device_config.SCSIid', remedy: 'Give one of the two; smctl sr probe lists the LUNs with their SCSI ids',
    })
  }
  const key = SCSIid === undefined ? 'LUNid' : 'SCSIid'
  const values = given.split(',')
  const twice = values.find((value, index) => values.indexOf(value) !== index)
  if (twice === undefined) return { key, values }
  throw new StorageError('invalidArgument', `device_config.${key} names ${twice} twice`, { layer, field: `device_config.${key}`, remedy: 'Name each LUN once' })
}

export const isWanted = ({ identity, number }: Pick<Lun, 'identity' | 'number'>, { key, values }: Wanted): boolean =>
  values.some((value) => (key === 'SCSIid' ? isIdentity(identity, value) : number === Number(value)))

/** The LUNs that are meant, in the order they were named; placeMissing tells the first one that is not offered, and what is. */
export const choose = (luns: readonly Lun[], { key, values }: Wanted, target: Target): readonly Lun[] =>
  values.map((value) => {
    const lun = luns.find((one) => isWanted(one, { key, values: [value] }))
    if (lun !== undefined) return lun
    throw new StorageError('placeMissing', `Target ${target.iqn} offers no LUN ${key === 'SCSIid' ? 'with SCSI id ' : ''}${value} to ${target.initiator}${luns.length === 0 ? '' : `, but: ${luns.slice(0, 5).map((one) => `${one.number} (${one.identity.scsiId})`).join(', ')}`}`, {
      layer, field: `device_config.${key}`, remedy: 'See on the array that the LUN is mapped to this initiator; smctl sr probe lists what is offered',
    })
  })
