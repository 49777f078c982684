/** The program that is killed: an engine and a writer of image data in one process, told what to do over its IPC channel. */
import { composeEngine } from '../../../cli/compose.ts'
import type { Engine } from '../../../core/caller.ts'
import { reportError, toStorageError } from '../../../core/errors.ts'
import { createFiles } from '../../../host/files/files.ts'
import { silentLog } from '../../../host/log.ts'
import { createDirectScanner } from '../../../stores/image-files/scan/direct.ts'
import { openImage } from '../../kit/image-disk.ts'
import { stampedSlot } from './slots.ts'

export type Order =
  | { readonly id: number; readonly call: string; readonly params: Readonly<Record<string, unknown>> }
  | { readonly id: number; readonly write: { readonly sr_uuid: string; readonly vdi_uuid: string; readonly offset: number; readonly stamp: number } }

export type Answer = { readonly id: number; readonly result?: unknown; readonly error?: ReturnType<typeof reportError> }

const files = createFiles()

/** As a guest does: attach, write, flush, detach. Acknowledged once flushed. */
const write = async (engine: Engine, { sr_uuid, vdi_uuid, offset, stamp }: Extract<Order, { write: unknown }>['write']): Promise<void> => {
  const disk = await openImage(files, await engine.call('VDI.attach', { sr_uuid, vdi_uuid }))
  await disk.write(offset, stampedSlot(offset, stamp))
  await disk.close()
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
}

const [stateDirectory = ''] = process.argv.slice(2)
const engine = await composeEngine({ stateDirectory, log: silentLog, scanner: createDirectScanner() })

const obey = async (order: Order): Promise<unknown> =>
  'write' in order ? write(engine, order.write) : engine.callByName(order.call, order.params)

process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send?.({ id: order.id, result } satisfies Answer),
    (error: unknown) => process.send?.({ id: order.id, error: reportError(toStorageError(error, 'kill test')) } satisfies Answer),
  )
})
process.send?.('ready')
