/**
 * Parent locators: eight entries of the header that point to texts naming the parent's file. A store looks for a parent
 * beside the child only, so what counts of any of them is the last component of the path.
 */
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import { ascii, layer, putAscii, putU32, putU64, u32, u64 } from './wire.ts'

const locatorSlots = 8
const entryLength = 24
export const locatorsLength = locatorSlots * entryLength

export interface Locator {
  readonly slot: number
  /** Four characters, as in `W2ru`. */
  readonly code: string
  /** Bytes reserved for the text, a multiple of 512 in healthy files. */
  readonly space: number
  readonly length: number
  readonly at: number
}

/**
 * `at`: offset of the first entry in `bytes`. The space is documented in sectors and mostly written in bytes: below 512 it
 * is sectors, as xapi reads it.
 */
export const parseLocators = (bytes: Uint8Array, at: number): readonly Locator[] => {
  const found: Locator[] = []
  for (let slot = 0; slot < locatorSlots; slot += 1) {
    const entry = at + slot * entryLength
    if (u32(bytes, entry) === 0) continue
    const space = u32(bytes, entry + 4)
    found.push({ slot, code: ascii(bytes, entry, 4), space: space < sectorSize ? space * sectorSize : space, length: u32(bytes, entry + 8), at: u64(bytes, entry + 16) })
  }
  return found
}

export const putLocator = (bytes: Uint8Array, at: number, locator: Locator): void => {
  const entry = at + locator.slot * entryLength
  bytes.fill(0, entry, entry + entryLength)
  putAscii(bytes, entry, locator.code)
  putU32(bytes, entry + 4, locator.space)
  putU32(bytes, entry + 8, locator.length)
  putU64(bytes, entry + 16, locator.at)
}

/** Only where it lies, so that whatever unit its space was written in stays. */
export const moveLocator = (bytes: Uint8Array, at: number, slot: number, to: number): void => putU64(bytes, at + slot * entryLength + 16, to)

export const putLocatorLength = (bytes: Uint8Array, at: number, slot: number, length: number): void => putU32(bytes, at + slot * entryLength + 8, length)

export const clearLocator = (bytes: Uint8Array, at: number, slot: number): void => {
  bytes.fill(0, at + slot * entryLength, at + (slot + 1) * entryLength)
}

const utf16le = new TextDecoder('utf-16le')
const utf8 = new TextDecoder('utf-8')

const encodeUtf16le = (text: string): Uint8Array => Buffer.from(text, 'utf16le')

interface Coding {
  readonly decode: (bytes: Uint8Array) => string
  readonly encode: (fileName: string) => Uint8Array
}

const windowsPath: Coding = { decode: (bytes) => utf16le.decode(bytes), encode: (fileName) => encodeUtf16le(`.\\${fileName}`) }

/** The codes in use, in the order in which xapi writes them. All three are written relative, as xapi does, `W2ku` included. */
const codings: Readonly<Record<string, Coding>> = {
  MacX: { decode: (bytes) => utf8.decode(bytes), encode: (fileName) => new TextEncoder().encode(`file://./${fileName}`) },
  W2ku: windowsPath,
  W2ru: windowsPath,
}
export const writtenCodes: readonly string[] = Object.keys(codings)

/** The text that names `fileName`, a file beside the child; undefined for codes that nobody writes any more. */
export const locatorText = (code: string, fileName: string): Uint8Array | undefined => codings[code]?.encode(fileName)

/** Last component of a recorded path; undefined when it cannot be the name of a file beside the child. */
const baseName = (path: string): string | undefined => {
  const end = path.indexOf('\0')
  const name = (end < 0 ? path : path.slice(0, end)).replaceAll('\\', '/').split('/').at(-1) ?? ''
  return name === '' || name === '.' || name === '..' || /[\x00-\x1f\x7f\ufffd\p{Surrogate}]/u.test(name) ? undefined : name
}

/** The file name in a locator's text; undefined for codes that are not text. */
export const nameInLocator = (code: string, text: Uint8Array): string | undefined => {
  const coding = codings[code]
  return coding === undefined ? undefined : baseName(coding.decode(text))
}

/** The file name in the header's field of 512 bytes. A scan reads one of each child: a decoder of all encodings costs too much. */
export const nameInField = (field: Uint8Array): string | undefined => {
  let path = ''
  for (let at = 0; at + 1 < field.length; at += 2) {
    const unit = ((field[at] ?? 0) << 8) | (field[at + 1] ?? 0)
    if (unit === 0) break
    path += String.fromCharCode(unit)
  }
  return baseName(path)
}

const longestName = 250

/** Names beyond printable ASCII cannot be read by xapi's tools; a path could lead anywhere. */
export const checkParentName = (fileName: string): void => {
  if (/^[\x20-\x7e]+$/.test(fileName) && !/[/\\:]/.test(fileName) && fileName !== '.' && fileName !== '..' && fileName.length <= longestName) return
  throw new StorageError('invalidArgument', `${JSON.stringify(fileName.slice(0, 60))} cannot be recorded as the file name of a parent`, {
    field: 'parent', layer, remedy: `Use a plain file name of at most ${longestName} ASCII characters beside the child`,
  })
}
