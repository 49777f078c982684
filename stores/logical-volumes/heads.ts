/**
 * The two sectors that tell LVM what a device is, kept on the device itself while vgimportclone rewrites them: the label (with
 * the uuid of the physical volume) and the header of the metadata area (where the newest text is). vgimportclone writes the
 * labels of all devices and then the headers of all; when the power goes between, no device knows any more which of the
 * group's physical volumes it was. With its two sectors back, each is what it was before: LVM writes a new text behind the old
 * one and never over it (lvm2, lib/format_text/format-text.c, raw_write_mda_header).
 *
 * They are kept in the free sectors between the label and the metadata area: LVM looks for a label in the first four sectors
 * only, and the metadata area begins at a page.
 */
import { createHash } from 'node:crypto'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { OpenFile } from '../../core/ports.ts'
import { settleCommand } from '../../host/blkid/build.ts'
import type { Survey } from './survey.ts'

const sector = 512
/** LVM's own choice of the four sectors where a label may be. */
const labelAt = sector
/** A note, the label, the header. */
const keptAt = 2048
/** Where a metadata area begins depends on the page size of the host that made it. */
const headerAts = [4096, 16384, 65536]
const labelMagic = 'LABELONE'
const headerMagic = ' LVM2 x[5A%r0N*>'

type Own = Survey['own']

const textOf = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes)

const digestOf = (label: Uint8Array, header: Uint8Array): string => createHash('sha256').update(label).update(header).digest('hex')

const noteOf = (sr: string, headerAt: number, label: Uint8Array, header: Uint8Array): string =>
  `storage-manager re-identifies ${sr} ${headerAt} ${digestOf(label, header)}\n`

const withDevice = async <T>(ctx: Ctx, node: string, mode: 'read' | 'write', work: (file: OpenFile) => Promise<T>): Promise<T> => {
  const file = await ctx.host.files.open(node, mode)
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

const findHeader = async (file: OpenFile, name: string): Promise<number> => {
  for (const at of headerAts) {
    if (textOf(await file.read(at, sector)).slice(4).startsWith(headerMagic)) return at
  }
  throw new StorageError('notSupported', `The metadata area of ${name} is in no place known here`, { layer: 'store:logical-volumes', field: 'device_config.device', remedy: 'Look at it with pvck --dump headers' })
}

/** Keeps the two sectors of each device. A crash in between leaves notes on some: it is done again, nothing was changed yet. */
export const keepHeads = async (ctx: Ctx, own: Own): Promise<void> => {
  for (const { name, device } of own) {
    ctx.signal.throwIfAborted()
    await withDevice(ctx, device.node, 'write', async (file) => {
      const label = await file.read(labelAt, sector)
      if (!textOf(label).startsWith(labelMagic)) throw new StorageError('identityMismatch', `${name} has no label of LVM where one is expected`, { layer: 'store:logical-volumes', field: 'device_config.device', remedy: 'Look at it with pvck --dump headers' })
      const headerAt = await findHeader(file, name)
      const header = await file.read(headerAt, sector)
      const bytes = new Uint8Array(3 * sector)
      bytes.set(new TextEncoder().encode(noteOf(ctx.sr, headerAt, label, header)))
      bytes.set(label, sector)
      bytes.set(header, 2 * sector)
      await file.write(keptAt, bytes)
      await file.sync()
    })
  }
}

interface Kept {
  readonly node: string
  readonly headerAt: number
  readonly label: Uint8Array
  readonly header: Uint8Array
}

const readKept = async (ctx: Ctx, node: string): Promise<Kept | undefined> =>
  withDevice(ctx, node, 'read', async (file) => {
    const bytes = await file.read(keptAt, 3 * sector)
    const [label, header] = [bytes.slice(sector, 2 * sector), bytes.slice(2 * sector)]
    const at = headerAts.find((one) => textOf(bytes).startsWith(noteOf(ctx.sr, one, label, header)))
    return at === undefined ? undefined : { node, headerAt: at, label, header }
  })

/** Puts the two sectors back, when every device keeps those that it had before this SR was to be made of it; false: not all do, and nothing was written. */
export const restoreHeads = async (ctx: Ctx, own: Own): Promise<boolean> => {
  const kept: Kept[] = []
  for (const { device } of own) {
    const found = await readKept(ctx, device.node)
    if (found === undefined) return false
    kept.push(found)
  }
  for (const { node, headerAt, label, header } of kept) {
    ctx.signal.throwIfAborted()
    await withDevice(ctx, node, 'write', async (file) => {
      await file.write(headerAt, header)
      await file.write(labelAt, label)
      await file.sync()
    })
  }
  await ctx.host.run(settleCommand(), ctx.signal)
  return true
}

/** The copy has its new identity: the old sectors must not come back. */
export const forgetHeads = async (ctx: Ctx, own: Own): Promise<void> => {
  for (const { device } of own) {
    if (await readKept(ctx, device.node) === undefined) continue
    await withDevice(ctx, device.node, 'write', async (file) => {
      await file.write(keptAt, new Uint8Array(3 * sector))
      await file.sync()
    })
  }
}
