/**
 * What a redo log keeps of a change that spans more than one sector: old and new bytes of header and footer, and pieces
 * of metadata between the table and the first block. A record proves itself by a digest over all of it.
 */
import * as z from 'zod'
import { lazily } from '../../core/lazily.ts'
import { footerLength } from './footer.ts'
import { headerLength } from './header.ts'
import { corrupt, sameBytes } from './wire.ts'

const digestLength = 32

const bytes = (length?: number) =>
  z.base64().transform((text): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))).refine((value) => length === undefined || value.length === length, 'has the wrong length')
const offset = z.int().nonnegative()

const Content = lazily(() => {
  const footers = { id: z.string(), oldFooter: bytes(footerLength), newFooter: bytes(footerLength) }
  return z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('vhd sparse 1'), ...footers,
      headerAt: offset,
      oldHeader: bytes(headerLength),
      newHeader: bytes(headerLength),
      pieces: z.array(z.strictObject({ at: offset, bytes: bytes() })),
    }),
    z.strictObject({ kind: z.literal('vhd fixed 1'), ...footers, oldFooterAt: offset, newFooterAt: offset }),
  ])
})

type RedoRecord = z.output<ReturnType<typeof Content>>
export type SparseRecord = Extract<RedoRecord, { kind: 'vhd sparse 1' }>
export type FixedRecord = Extract<RedoRecord, { kind: 'vhd fixed 1' }>

/** Loaded when a record is written or read: it costs the start of a short process 2 ms. */
const digest = (content: Uint8Array): Uint8Array => process.getBuiltinModule('node:crypto').createHash('sha256').update(content).digest()

export const encodeRecord = (record: RedoRecord): Uint8Array => {
  const text = JSON.stringify(record, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    // `value` of a Buffer is what its toJSON made of it.
    const raw = this[key]
    return raw instanceof Uint8Array ? Buffer.from(raw).toString('base64') : value
  })
  const content = Buffer.from(text, 'utf8')
  return Buffer.concat([digest(content), content])
}

/** Throws imageCorrupt for anything but a whole record. */
export const decodeRecord = (record: Uint8Array): RedoRecord => {
  const content = record.subarray(digestLength)
  if (record.length <= digestLength || !sameBytes(record.subarray(0, digestLength), digest(content))) {
    throw corrupt('The redo record of the image is torn, or is none', 'Discard the record: an image is not touched before its record is whole')
  }
  try {
    return Content().parse(JSON.parse(Buffer.from(content).toString('utf8')))
  } catch (cause) {
    throw corrupt('The redo record was written by another version of the storage manager', 'Let the version that wrote it finish the change', cause)
  }
}
