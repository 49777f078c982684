/**
 * Builds VHDs byte by byte, as various programs lay them out, from the facts about those and without a line of our writer:
 * what it makes tells whether our reader understands others, not whether it understands itself.
 */
export interface BuiltBlock {
  readonly block: number
  /** Bytes of the bitmap; the rest of the bitmap's sectors is zero. */
  readonly bitmap: readonly number[] | Uint8Array
  /** Content of the block; shorter is filled with zeros. */
  readonly data: Uint8Array
}

export interface BuiltLocator {
  readonly code: string
  /** As it stands in the entry, in whatever unit. */
  readonly space: number
  readonly at: number
  readonly text: Uint8Array
}

export interface Build {
  readonly type: 2 | 3 | 4
  readonly size: number
  readonly creator: string
  readonly version: number
  readonly id: string
  readonly originalSize?: number
  /** Cylinders, heads, sectors. */
  readonly geometry?: readonly [number, number, number]
  readonly hidden?: number
  readonly timestamp?: number
  readonly hostOs?: string
  readonly blockSize?: number
  readonly tableAt?: number
  /** More than needed: room to grow. */
  readonly entries?: number
  /** Fills the table's last sector. */
  readonly tablePadding?: number
  readonly batmap?: boolean | { readonly full: readonly number[]; readonly version?: number; readonly damage?: boolean }
  readonly blocks?: readonly BuiltBlock[]
  /** Data of blocks on multiples of this. */
  readonly alignment?: number
  readonly parent?: { readonly id: string; readonly name: string; readonly timestamp?: number }
  readonly locators?: readonly BuiltLocator[]
  /** First byte behind metadata; computed when absent. */
  readonly firstBlockAt?: number
  /** Of a fixed disk. */
  readonly content?: Uint8Array
}

const sum = (bytes: Uint8Array, signed = false): number => {
  let total = 0
  for (const byte of bytes) total += signed && byte > 127 ? byte - 256 : byte
  return ~total >>> 0
}

const text = (bytes: Uint8Array, at: number, value: string): void => bytes.set(Buffer.from(value, 'latin1'), at)
const id = (bytes: Uint8Array, at: number, value: string): void => bytes.set(Buffer.from(value, 'hex'), at)

const utf16be = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'utf16le').swap16())

export const buildFooter = (want: Build): Uint8Array => {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  text(bytes, 0, 'conectix')
  view.setUint32(8, 2)
  view.setUint32(12, 0x00010000)
  view.setBigUint64(16, want.type === 2 ? 0xffffffffffffffffn : 512n)
  view.setUint32(24, want.timestamp ?? 0x2a000000)
  text(bytes, 28, want.creator)
  view.setUint32(32, want.version)
  text(bytes, 36, want.hostOs ?? '\0\0\0\0')
  view.setBigUint64(40, BigInt(want.originalSize ?? want.size))
  view.setBigUint64(48, BigInt(want.size))
  const [cylinders, heads, sectors] = want.geometry ?? [1, 4, 17]
  view.setUint16(56, cylinders)
  view.setUint8(58, heads)
  view.setUint8(59, sectors)
  view.setUint32(60, want.type)
  id(bytes, 68, want.id)
  view.setUint8(85, want.hidden ?? 0)
  view.setUint32(64, sum(bytes))
  return bytes
}

/** Checksums of a footer (at 64) or a header (at 36) whose bytes were changed by a test. */
export const resum = (bytes: Uint8Array): void => {
  const at = bytes.length === 512 ? 64 : 36
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint32(at, 0)
  view.setUint32(at, sum(bytes))
}

export interface Built {
  readonly bytes: Uint8Array
  readonly batmapAt: number
  readonly tableAt: number
  /** Where each block's bitmap begins. */
  readonly places: ReadonlyMap<number, number>
  readonly footerAt: number
}

const up = (value: number, step: number): number => Math.ceil(value / step) * step

export const buildVhd = (want: Build): Built => {
  const footer = buildFooter(want)
  if (want.type === 2) {
    const bytes = new Uint8Array(want.size + 512)
    if (want.content !== undefined) bytes.set(want.content)
    bytes.set(footer, want.size)
    return { bytes, batmapAt: 0, tableAt: 0, places: new Map(), footerAt: want.size }
  }
  const blockSize = want.blockSize ?? 2097152
  const tableAt = want.tableAt ?? 1536
  const entries = want.entries ?? Math.ceil(want.size / blockSize)
  const bitmapBytes = up(Math.ceil(blockSize / 512 / 8), 512)
  const batmapAt = tableAt + up(4 * entries, 512)
  const mapBytes = Math.max(512, up(Math.ceil(entries / 8), 512))
  const locators = want.locators ?? []
  const metadataEnd = want.firstBlockAt ?? Math.max(
    batmapAt + (want.batmap === undefined || want.batmap === false ? 0 : 512 + mapBytes),
    ...locators.map((locator) => locator.at + (locator.space < 512 ? locator.space * 512 : locator.space)),
  )
  const places = new Map<number, number>()
  let end = metadataEnd
  for (const { block } of want.blocks ?? []) {
    const dataAt = up(end + bitmapBytes, want.alignment ?? 512)
    places.set(block, dataAt - bitmapBytes)
    end = dataAt + blockSize
  }
  const bytes = new Uint8Array(end + 512)
  const view = new DataView(bytes.buffer)

  bytes.set(footer, 0)
  const header = bytes.subarray(512, 1536)
  text(header, 0, 'cxsparse')
  view.setBigUint64(512 + 8, 0xffffffffffffffffn)
  view.setBigUint64(512 + 16, BigInt(tableAt))
  view.setUint32(512 + 24, 0x00010000)
  view.setUint32(512 + 28, entries)
  view.setUint32(512 + 32, blockSize)
  if (want.parent !== undefined) {
    id(header, 40, want.parent.id)
    view.setUint32(512 + 56, want.parent.timestamp ?? 0)
    header.set(utf16be(want.parent.name), 64)
  }
  locators.forEach((locator, slot) => {
    const at = 512 + 576 + 24 * slot
    text(bytes, at, locator.code)
    view.setUint32(at + 4, locator.space)
    view.setUint32(at + 8, locator.text.length)
    view.setBigUint64(at + 16, BigInt(locator.at))
    bytes.set(locator.text, locator.at)
  })
  view.setUint32(512 + 36, sum(header))

  bytes.fill(want.tablePadding ?? 0xff, tableAt, batmapAt)
  for (let entry = 0; entry < entries; entry += 1) {
    const place = places.get(entry)
    view.setUint32(tableAt + 4 * entry, place === undefined ? 0xffffffff : place / 512)
  }

  if (want.batmap !== undefined && want.batmap !== false) {
    const { full = [], version = 0x00010002, damage = false } = want.batmap === true ? {} : want.batmap
    text(bytes, batmapAt, 'tdbatmap')
    view.setBigUint64(batmapAt + 8, BigInt(batmapAt + 512))
    view.setUint32(batmapAt + 16, mapBytes / 512)
    view.setUint32(batmapAt + 20, version)
    for (const block of full) {
      const at = batmapAt + 512 + Math.floor(block / 8)
      bytes[at] = (bytes[at] ?? 0) | (128 >> block % 8)
    }
    const summed = Math.min(mapBytes, Math.max(1, Math.ceil(Math.floor(want.size / 16777216) / 512)) * 512)
    view.setUint32(batmapAt + 24, (sum(bytes.subarray(batmapAt + 512, batmapAt + 512 + summed), version === 0x00010001) ^ (damage ? 1 : 0)) >>> 0)
  }

  for (const { block, bitmap, data } of want.blocks ?? []) {
    const place = places.get(block) ?? 0
    bytes.set(bitmap, place)
    bytes.set(data, place + bitmapBytes)
  }
  bytes.set(footer, end)
  return { bytes, batmapAt, tableAt, places, footerAt: end }
}

/** Sector by sector: what a disk must read as, where the bitmap has it, else `below`. */
export const modelOf = (want: Build, below?: Uint8Array): Uint8Array => {
  const model = new Uint8Array(want.size)
  if (below !== undefined) model.set(below.subarray(0, want.size))
  const blockSize = want.blockSize ?? 2097152
  for (const { block, bitmap, data } of want.blocks ?? []) {
    for (let sector = 0; sector < blockSize / 512; sector += 1) {
      const at = block * blockSize + sector * 512
      if (at >= want.size || ((bitmap[Math.floor(sector / 8)] ?? 0) & (128 >> sector % 8)) === 0) continue
      const from = data.subarray(sector * 512, sector * 512 + 512)
      model.fill(0, at, at + 512)
      model.set(from, at)
    }
  }
  return model
}
