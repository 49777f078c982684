/** What a model host remembers of SRs and attachments; survives its processes, and of a power cut what host/records.ts makes durable. */
import type { SrUuid, VdiUuid } from '../../../core/ids.ts'
import type { AttachmentRecord, HostRecords, SrRecord } from '../../../core/ports.ts'
import type { ModelProcess, Step } from './process.ts'

export interface RecordState {
  readonly srs: Map<SrUuid, SrRecord>
  readonly attachments: Map<SrUuid, Map<VdiUuid, AttachmentRecord>>
}

export const emptyRecords = (): RecordState => ({ srs: new Map(), attachments: new Map() })

export const copyRecords = (state: RecordState): RecordState => ({
  srs: new Map(state.srs),
  attachments: new Map([...state.attachments].map(([sr, of]) => [sr, new Map(of)])),
})

export const createModelRecords = (state: RecordState, process: ModelProcess, bootId: string): HostRecords => {
  const write = <T>(call: string, target: string, act: () => T): T => process.performNow({ call, target, effect: 'write' } satisfies Step, act)
  const read = <T>(call: string, target: string, act: () => T): T => process.performNow({ call, target, effect: 'read' } satisfies Step, act)
  const ofBoot = (record: AttachmentRecord | undefined): AttachmentRecord | undefined => (record?.bootId === bootId ? record : undefined)
  return {
    listSrs: () => read('list records', '', () => [...state.srs.values()]),
    sr: (uuid) => read('read record', uuid, () => state.srs.get(uuid)),
    putSr: (record) => write('put record', record.uuid, () => void state.srs.set(record.uuid, record)),
    removeSr: (uuid) => write('remove record', uuid, () => {
      state.srs.delete(uuid)
      state.attachments.delete(uuid)
    }),
    attachments: (sr) => read('list attachments', sr, () => [...(state.attachments.get(sr)?.values() ?? [])].filter((record) => ofBoot(record) !== undefined)),
    attachment: (sr, vdi) => read('read attachment', vdi, () => ofBoot(state.attachments.get(sr)?.get(vdi))),
    putAttachment: (sr, record) => write('put attachment', record.vdi, () => {
      const of = state.attachments.get(sr) ?? new Map<VdiUuid, AttachmentRecord>()
      state.attachments.set(sr, of.set(record.vdi, record))
    }),
    removeAttachment: (sr, vdi) => write('remove attachment', vdi, () => void state.attachments.get(sr)?.delete(vdi)),
  }
}
