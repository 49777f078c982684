/**
 * The SCSI commands that hosts send to a volume (SPC-4, SBC-3), over the same functions that every other host uses. Blocks of
 * 512 bytes.
 */
import { StorageError } from '../../../../../core/errors.ts'
import { readVolume, writeRefusal, writeVolume } from '../host-io.ts'
import type { SimArray, Volume, World } from '../model.ts'
import { bytesPerMiB } from '../volume-records.ts'

const sector = 512

export interface Unit {
  readonly world: World
  readonly array: SimArray
  /** Nothing when no volume is presented under this number. */
  readonly volume: Volume | undefined
  /** Numbers of all that is presented, for REPORT LUNS. */
  readonly luns: readonly number[]
  /** Relative number of the port that was asked, from 1, and of all ports. */
  readonly port: number
  readonly ports: number
}

export interface Done {
  /** 0 good, 2 check condition. */
  readonly status: 0 | 2
  readonly data?: Buffer
  readonly sense?: Buffer
}

/** Sense key, additional code and its qualifier (SPC-4 section 4.5). */
const sense = (key: number, code: number, qualifier: number): Done => {
  const bytes = Buffer.alloc(18)
  bytes[0] = 0x70
  bytes[2] = key
  bytes[7] = 10
  bytes[12] = code
  bytes[13] = qualifier
  return { status: 2, sense: bytes }
}

const good = (data?: Buffer): Done => ({ status: 0, ...(data === undefined ? {} : { data }) })
const noSuchUnit = sense(5, 0x25, 0)
export const lunsChanged = sense(6, 0x3f, 0x0e)
export const capacityChanged = sense(6, 0x2a, 0x09)
/** The data of a write did not come as it must (RFC 7143 section 11.4.7.2: protocol service CRC or sequence error). */
export const protocolError = sense(0x0b, 0x47, 0x05)
const invalidCommand = sense(5, 0x20, 0)
const invalidField = sense(5, 0x24, 0)
const outOfRange = sense(5, 0x21, 0)
const writeProtected = sense(7, 0x27, 0)
const noSpace = sense(7, 0x27, 7)
const hardwareError = sense(4, 0x44, 0)

const padded = (text: string, length: number): Buffer => Buffer.from(text.padEnd(length).slice(0, length), 'latin1')
const sectorsOf = (volume: Volume): number => (volume.sizeMiB * bytesPerMiB) / sector

const standardInquiry = ({ volume, array }: Unit): Buffer => {
  const bytes = Buffer.alloc(96)
  bytes[0] = volume === undefined ? 0x7f : 0
  bytes[2] = 6
  bytes[3] = 2
  bytes[4] = bytes.length - 5
  // Implicit asymmetric access: the persona of hosts by default.
  bytes[5] = 0x10
  bytes[7] = 2
  padded('3PARdata', 8).copy(bytes, 8)
  padded('VV', 16).copy(bytes, 16)
  padded(array.profile.version.replaceAll('.', ''), 4).copy(bytes, 32)
  return bytes
}

const page = (code: number, content: Buffer): Buffer => {
  const header = Buffer.from([0, code, 0, 0])
  header.writeUInt16BE(content.length, 2)
  return Buffer.concat([header, content])
}

const designator = (association: number, type: number, codeSet: number, id: Buffer): Buffer => Buffer.concat([Buffer.from([codeSet, (association << 4) | type, 0, id.length]), id])
const number16 = (value: number): Buffer => Buffer.from([0, 0, value >> 8, value & 0xff])

/** Vital product data (SPC-4 section 7.8); the identity is the volume's WWN, whichever array and port is asked. */
const vitalPages: Readonly<Record<number, (unit: Unit, volume: Volume) => Buffer>> = {
  0x00: () => Buffer.from([0x00, 0x80, 0x83, 0xb0, 0xb1]),
  0x80: (_, { wwn }) => Buffer.from(wwn.slice(-16), 'latin1'),
  0x83: ({ port }, { wwn }) => Buffer.concat([designator(0, 3, 1, Buffer.from(wwn, 'hex')), designator(1, 4, 1, number16(port)), designator(1, 5, 1, number16(1))]),
  0xb0: () => {
    const limits = Buffer.alloc(60)
    limits.writeUInt16BE(32, 2)
    limits.writeUInt32BE(2048, 4)
    limits.writeUInt32BE(256, 8)
    return limits
  },
  0xb1: () => {
    const characteristics = Buffer.alloc(60)
    characteristics.writeUInt16BE(1, 0)
    return characteristics
  },
}

const inquiry = (unit: Unit, cdb: Buffer): Done => {
  const length = cdb.readUInt16BE(3)
  if (((cdb[1] ?? 0) & 1) === 0) return (cdb[2] ?? 0) === 0 ? good(standardInquiry(unit).subarray(0, length)) : invalidField
  const code = cdb[2] ?? 0
  const make = vitalPages[code]
  if (unit.volume === undefined) return noSuchUnit
  return make === undefined ? invalidField : good(page(code, make(unit, unit.volume)).subarray(0, length))
}

/** Eight bytes of a LUN: peripheral addressing below 256, flat above (SAM-5 section 4.7). */
const lunBytes = (lun: number): Buffer => Buffer.from([lun < 256 ? 0 : 0x40 | (lun >> 8), lun & 0xff, 0, 0, 0, 0, 0, 0])
export const lunOf = (bytes: Buffer): number => (((bytes[0] ?? 0) & 0x3f) << 8) | (bytes[1] ?? 0)

const reportLuns = ({ luns }: Unit, cdb: Buffer): Done => {
  const entries = Buffer.concat(luns.map(lunBytes))
  const header = Buffer.alloc(8)
  header.writeUInt32BE(entries.length, 0)
  return good(Buffer.concat([header, entries]).subarray(0, cdb.readUInt32BE(6)))
}

const modePage = (code: number, length: number): Buffer => Buffer.from([code, length, ...Array.from({ length }, () => 0)])
/** Caching and control, both with nothing set: writes are on disk when they are answered. */
const modePages: Readonly<Record<number, Buffer>> = { 0x08: modePage(0x08, 18), 0x0a: modePage(0x0a, 10) }

const modeSense = (unit: Unit, volume: Volume, cdb: Buffer, long: boolean): Done => {
  // DPO and FUA are accepted: every write is as good as one with them.
  const protect = 0x10 | (writeRefusal(unit.array, volume) === undefined ? 0 : 0x80)
  const wanted = (cdb[2] ?? 0) & 0x3f
  const subpage = cdb[3] ?? 0
  const found = wanted === 0x3f ? Object.values(modePages) : [modePages[wanted]].filter((one) => one !== undefined)
  if (found.length === 0 || (subpage !== 0 && subpage !== 0xff)) return invalidField
  const pages = Buffer.concat(found)
  if (long) {
    const header = Buffer.alloc(8)
    header.writeUInt16BE(6 + pages.length, 0)
    header[3] = protect
    return good(Buffer.concat([header, pages]).subarray(0, cdb.readUInt16BE(7)))
  }
  return good(Buffer.concat([Buffer.from([3 + pages.length, 0, protect, 0]), pages]).subarray(0, cdb[4] ?? 0))
}

const capacity10 = (volume: Volume): Done => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(Math.min(sectorsOf(volume) - 1, 0xffff_ffff), 0)
  bytes.writeUInt32BE(sector, 4)
  return good(bytes)
}

const capacity16 = (volume: Volume, cdb: Buffer): Done => {
  const bytes = Buffer.alloc(32)
  bytes.writeBigUInt64BE(BigInt(sectorsOf(volume) - 1), 0)
  bytes.writeUInt32BE(sector, 8)
  return good(bytes.subarray(0, cdb.readUInt32BE(10)))
}

/** One group of all ports, active and optimised (SPC-4 section 6.37). */
const portGroups = ({ ports }: Unit, cdb: Buffer): Done => {
  const numbers = Array.from({ length: ports }, (_, index) => number16(index + 1))
  const group = Buffer.from([0, 0x01, 0, 1, 0, 0, 0, ports])
  const body = Buffer.concat([group, ...numbers])
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length, 0)
  return good(Buffer.concat([header, body]).subarray(0, cdb.readUInt32BE(6)))
}

export interface Extent {
  readonly offset: number
  readonly length: number
  readonly writes: boolean
}

/** Opcode -> where first block and count stand, and whether it writes. */
const transfers: Readonly<Record<number, (cdb: Buffer) => readonly [first: number, count: number, writes: boolean]>> = {
  0x08: (cdb) => [cdb.readUIntBE(1, 3) & 0x1f_ffff, (cdb[4] ?? 0) === 0 ? 256 : cdb[4] ?? 0, false],
  0x0a: (cdb) => [cdb.readUIntBE(1, 3) & 0x1f_ffff, (cdb[4] ?? 0) === 0 ? 256 : cdb[4] ?? 0, true],
  0x28: (cdb) => [cdb.readUInt32BE(2), cdb.readUInt16BE(7), false],
  0x2a: (cdb) => [cdb.readUInt32BE(2), cdb.readUInt16BE(7), true],
  0xa8: (cdb) => [cdb.readUInt32BE(2), cdb.readUInt32BE(6), false],
  0xaa: (cdb) => [cdb.readUInt32BE(2), cdb.readUInt32BE(6), true],
  0x88: (cdb) => [Number(cdb.readBigUInt64BE(2)), cdb.readUInt32BE(10), false],
  0x8a: (cdb) => [Number(cdb.readBigUInt64BE(2)), cdb.readUInt32BE(10), true],
}

/** Bytes that a command reads or writes; nothing when it is no such command. */
export const extentOf = (cdb: Buffer): Extent | undefined => {
  const found = transfers[cdb[0] ?? 0]?.(cdb)
  return found === undefined ? undefined : { offset: found[0] * sector, length: found[1] * sector, writes: found[2] }
}

const failure = (error: unknown): Done => {
  if (!(error instanceof StorageError)) return hardwareError
  if (error.kind === 'wrongRole' || error.kind === 'readOnly') return writeProtected
  return error.kind === 'noSpace' ? noSpace : hardwareError
}

/** The volumes hold no protection information, so that nobody may ask for its check; commands of six bytes have no such field. */
const asksForProtection = (cdb: Buffer): boolean => (cdb[0] ?? 0) > 0x1f && ((cdb[1] ?? 0) & 0xe0) !== 0

const transfer = ({ world, array }: Unit, volume: Volume, { offset, length, writes }: Extent, data: Buffer): Done => {
  if (offset + length > volume.sizeMiB * bytesPerMiB) return outOfRange
  try {
    if (!writes) return good(readVolume(world, array, volume, offset, length))
    writeVolume(world, array, volume, offset, data.subarray(0, length))
    return good()
  } catch (error) {
    return failure(error)
  }
}

const others: Readonly<Record<number, (unit: Unit, volume: Volume, cdb: Buffer) => Done>> = {
  0x00: () => good(), 0x1b: () => good(), 0x2f: () => good(), 0x35: () => good(), 0x91: () => good(), 0x16: () => good(), 0x17: () => good(), 0x1e: () => good(),
  0x1a: (unit, volume, cdb) => modeSense(unit, volume, cdb, false),
  0x5a: (unit, volume, cdb) => modeSense(unit, volume, cdb, true),
  0x25: (_, volume) => capacity10(volume),
  0x9e: (_, volume, cdb) => (((cdb[1] ?? 0) & 0x1f) === 0x10 ? capacity16(volume, cdb) : invalidField),
  0xa3: (unit, _, cdb) => (((cdb[1] ?? 0) & 0x1f) === 0x0a ? portGroups(unit, cdb) : invalidField),
}

/** Runs one command; `data` is what a write brings. */
export const execute = (unit: Unit, cdb: Buffer, data: Buffer): Done => {
  const code = cdb[0] ?? 0
  if (code === 0x12) return inquiry(unit, cdb)
  if (code === 0xa0) return reportLuns(unit, cdb)
  if (code === 0x03) return good(sense(0, 0, 0).sense)
  const { volume } = unit
  if (volume === undefined) return noSuchUnit
  const extent = extentOf(cdb)
  if (extent !== undefined && asksForProtection(cdb)) return invalidField
  if (extent !== undefined) return transfer(unit, volume, extent, data)
  return others[code]?.(unit, volume, cdb) ?? invalidCommand
}
