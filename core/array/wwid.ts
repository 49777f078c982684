/**
 * The identity of a volume: its SCSI device identification page (SPC, VPD page 83h) in one canonical form, `naa.<hex>` or
 * `eui.<hex>` in lower case. Other spellings are read and written here only: the array plug-in guide's page83 id and udev put
 * a digit for the designator type before the digits (3 = NAA, 2 = EUI-64), array consoles write bare or coloned digits.
 */
import { StorageError } from '../errors.ts'

declare const wwidBrand: unique symbol
export type Wwid = string & { readonly [wwidBrand]: 'Wwid' }

/** NAA 6 has 16 bytes, NAA 2, 3 and 5 have 8 (SPC-4, 7.8.6.6); EUI-64 identifiers have 8, 12 or 16 bytes (7.8.6.5). */
const naaPattern = /^(?:6[0-9a-f]{31}|[235][0-9a-f]{15})$/
const euiPattern = /^(?:[0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32})$/

/** Reads any known spelling: `naa.6...`, `eui.0...`, `36...` (page83, udev), `0x6...`, bare and coloned digits. undefined when it is none. */
export const parseWwid = (text: string): Wwid | undefined => {
  const plain = text.trim().toLowerCase()
  const prefixed = /^(naa|eui|t10)\.(.*)$/.exec(plain)
  const digits = (prefixed?.[2] ?? plain).replace(/^0x/, '').replace(/[:-]/g, '')
  if (prefixed?.[1] === 't10') return undefined
  if (prefixed?.[1] === 'naa') return naaPattern.test(digits) ? (`naa.${digits}` as Wwid) : undefined
  if (prefixed?.[1] === 'eui') return euiPattern.test(digits) ? (`eui.${digits}` as Wwid) : undefined
  // A designator digit makes the length odd, so that the two spellings never meet.
  if (digits.length % 2 === 1) {
    const rest = digits.slice(1)
    if (digits.startsWith('3') && naaPattern.test(rest)) return `naa.${rest}` as Wwid
    if (digits.startsWith('2') && euiPattern.test(rest)) return `eui.${rest}` as Wwid
    return undefined
  }
  return naaPattern.test(digits) ? (`naa.${digits}` as Wwid) : undefined
}

/** As `parseWwid`; invalidArgument names `field` when the text is no identity. */
export const asWwid = (text: string, field = 'wwid'): Wwid => {
  const wwid = parseWwid(text)
  if (wwid !== undefined) return wwid
  throw new StorageError('invalidArgument', `${field}: ${JSON.stringify(text.slice(0, 64))} is no page-83 identity`, {
    field, layer: 'engine', remedy: 'Write it as naa.600..., as udev shows it (36 00...) or as 16 or 32 hexadecimal digits',
  })
}

/** The array plug-in guide's page83 id, which is also what udev and multipath show: designator digit and hexadecimal digits. */
export const page83Of = (wwid: Wwid): string => `${wwid.startsWith('naa.') ? '3' : '2'}${wwid.slice(4)}`
