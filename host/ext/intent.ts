/**
 * What is under way on a device while it holds no file system that could tell: one record in the last MiB of the device, which no
 * file system of ours reaches into. mkfs that lost its power leaves data of no known format; this says whose it is.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { isUuid, asSrUuid, type SrUuid } from '../../core/ids.ts'
import { MiB, roundDown } from '../../core/units.ts'
import type { BlockDevice } from '../blkid/parse.ts'
import { flushCommand } from './build.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

/** `making`: sr_create has proven the device blank and has not ended. `removing`: sr_delete is wiping it. */
export interface Intent {
  readonly doing: 'making' | 'removing'
  readonly sr: SrUuid
}

/** Bytes at the end of a device that are kept from the file system. */
const reserved = MiB
const recordLength = 512
const pattern = /^storage-manager ext (making|removing) ([0-9a-f-]{36})\n\0/

/** How large a file system may be on a device: whole MiB, and the end stays free. */
export const fileSystemSize = (device: Pick<BlockDevice, 'size'>): number => roundDown(device.size, MiB) - reserved

const placeOf = (device: BlockDevice): number => fileSystemSize(device)

const readRecord = async ({ host }: Needs, device: BlockDevice): Promise<string> => {
  const file = await host.files.open(device.node, 'read')
  try {
    return Buffer.from(await file.read(placeOf(device), recordLength)).toString('latin1')
  } finally {
    await file.close()
  }
}

export const readIntent = async (ctx: Needs, device: BlockDevice): Promise<Intent | undefined> => {
  if (device.size < 2 * reserved) return undefined
  const [, doing, uuid] = pattern.exec(await readRecord(ctx, device)) ?? []
  return (doing === 'making' || doing === 'removing') && uuid !== undefined && isUuid(uuid) ? { doing, sr: asSrUuid(uuid) } : undefined
}

/** Durable, and read back from the device itself: one that loses writes is found out before anything is built on it. */
const write = async (ctx: Needs, device: BlockDevice, text: string): Promise<void> => {
  const record = text.padEnd(recordLength, '\0')
  const file = await ctx.host.files.open(device.node, 'write')
  try {
    await file.write(placeOf(device), Buffer.from(record, 'latin1'))
    await file.sync()
  } finally {
    await file.close()
  }
  await ctx.host.run(flushCommand(device.node), ctx.signal)
  if ((await readRecord(ctx, device)) === record) return
  throw new StorageError('ioError', `${device.path} does not keep what is written to it`, {
    layer: 'host:ext', mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device',
  })
}

export const writeIntent = async (ctx: Needs, device: BlockDevice, intent: Intent): Promise<void> =>
  write(ctx, device, `storage-manager ext ${intent.doing} ${intent.sr}\n`)

export const clearIntent = async (ctx: Needs, device: BlockDevice): Promise<void> => write(ctx, device, '')
