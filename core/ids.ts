/** Identities: branded strings, so that an SR's uuid cannot be handed over as a VDI's. */
import * as z from 'zod'

const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const nilUuid = '00000000-0000-0000-0000-000000000000'

/**
 * A uuid in its textual form (OSF DCE 1.1), any version, as SM API callers make them; upper case is accepted and made
 * lower case. It becomes a file name, a volume name or a tag: nothing but these 36 characters ever gets that far.
 */
const uuid = z
  .string()
  .toLowerCase()
  .regex(uuidPattern, 'must be a uuid, like 87b8646b-b800-9500-cb7b-af3b74e02f5c')
  .refine((text) => text !== nilUuid, 'must not be the nil uuid')

export const SrUuid = uuid.brand<'SrUuid'>()
export const VdiUuid = uuid.brand<'VdiUuid'>()
export type SrUuid = z.infer<typeof SrUuid>
export type VdiUuid = z.infer<typeof VdiUuid>

export const isUuid = (text: string): boolean => uuidPattern.test(text) && text !== nilUuid

/** Names of files, volumes and tags were checked against this pattern where they were read; this is where the brand comes on. */
export const asVdiUuid = (text: string): VdiUuid => (isUuid(text) ? (text as VdiUuid) : VdiUuid.parse(text))
export const asSrUuid = (text: string): SrUuid => (isUuid(text) ? (text as SrUuid) : SrUuid.parse(text))

/**
 * The uuid of a VDI in a re-identified copy of an SR: made from the copy's uuid and the original VDI's, so that a repeat
 * after a crash gives the same one. 128 bits of FNV-1a as a version 8 uuid (RFC 9562, 5.8): no secrecy is wanted of it.
 */
export const copiedVdiUuid = (copy: SrUuid, original: VdiUuid): VdiUuid => {
  const prime = 0x0000000001000000000000000000013bn
  let hash = 0x6c62272e07bb014262b821756295c58dn
  for (const byte of new TextEncoder().encode(`${copy}/${original}`)) hash = BigInt.asUintN(128, (hash ^ BigInt(byte)) * prime)
  const digits = hash.toString(16).padStart(32, '0')
  const variant = ((Number.parseInt(digits[16] ?? '0', 16) & 3) | 8).toString(16)
  return asVdiUuid(`${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`)
}
