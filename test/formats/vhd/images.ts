/** Helpers of the VHD tests: reading a whole disk, chains, and bytes that tell where they belong. */
import type { Image } from '../../../formats/format.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import type { Build } from './build-vhd.ts'

export const summarize = (bytes: Uint8Array) =>
  vhd.summarize(bytes.subarray(0, vhd.headLength), bytes.subarray(Math.max(0, bytes.length - vhd.tailLength)), bytes.length)

/** What a chain reads as, from the leaf down; nobody below: zeros. */
export const readChain = async (images: readonly Image[], size = images[0]?.summary.size ?? 0): Promise<Uint8Array> => {
  const bytes = new Uint8Array(size)
  for (const image of images.toReversed()) {
    const covered = Math.min(size, image.summary.size)
    for (const { offset, length } of await image.present(0, covered)) bytes.set(await image.read(offset, length), offset)
  }
  return bytes
}

/** Content in which every sector says `tag` and its own number: a wrong sector is told from a right one. */
export const stamp = (tag: number, offset: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < length; at += 512) {
    bytes.fill(tag & 0xff, at, at + 512)
    view.setUint32(at, 0xa5000000 | tag)
    view.setUint32(at + 4, (offset + at) / 512)
  }
  return bytes
}

export const ones = (length: number): Uint8Array => new Uint8Array(length).fill(0xff)

/** One image of each program, with the same kind of content; block sizes are small where the program does not care. */
export const dialects: Readonly<Record<string, Build>> = {
  'xapi, dynamic': {
    type: 3, size: 8 * 2097152, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), alignment: 4096, batmap: { full: [2] }, tablePadding: 0,
    blocks: [{ block: 2, bitmap: ones(512), data: stamp(1, 0, 2097152) }, { block: 0, bitmap: [0x02, 0xcb, 0xa8], data: stamp(2, 0, 24 * 512) }],
  },
  'xapi 1.1, dynamic, signed batmap': {
    type: 3, size: 3 * 2097152, creator: 'tap\0', version: 0x00010001, id: 'a'.repeat(32), alignment: 4096,
    blocks: [{ block: 1, bitmap: [0x80], data: stamp(1, 0, 512) }],
  },
  'xapi, preallocated for growth': {
    type: 3, size: 2 * 2097152, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), alignment: 4096, entries: 1024, batmap: true,
    blocks: [{ block: 0, bitmap: [0xff, 0xff], data: stamp(1, 0, 16 * 512) }],
  },
  'xapi, differencing': {
    type: 4, size: 4 * 2097152, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), alignment: 4096, batmap: { full: [] },
    parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
    locators: [
      { code: 'MacX', space: 512, at: 3072, text: new Uint8Array(Buffer.from('file://./parent.vhd')) },
      { code: 'W2ku', space: 512, at: 3584, text: new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le')) },
      { code: 'W2ru', space: 512, at: 4096, text: new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le')) },
    ],
    blocks: [{ block: 3, bitmap: [0x00, 0x18], data: stamp(1, 0, 16 * 512) }],
  },
  'Windows 10, differencing': {
    type: 4, size: 4 * 2097152, creator: 'win ', version: 0x000a0000, hostOs: 'Wi2k', id: 'c'.repeat(32), alignment: 4096, tableAt: 8192,
    parent: { id: 'b'.repeat(32), name: 'C:\\vm\\parent.vhd' },
    locators: [
      { code: 'W2ku', space: 4096, at: 4096, text: new Uint8Array(Buffer.from('C:\\vm\\parent.vhd', 'utf16le')) },
      { code: 'W2ru', space: 65536, at: 12288, text: new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le')) },
    ],
    blocks: [{ block: 1, bitmap: [0x02, 0xcb, 0xa8, 0xff], data: stamp(1, 0, 32 * 512) }, { block: 0, bitmap: [0x01], data: stamp(2, 0, 8 * 512) }],
  },
  'Virtual Server, 512 KiB blocks': {
    type: 3, size: 5 * 524288, creator: 'vs  ', version: 0x00010000, hostOs: 'Wi2k', id: 'd'.repeat(32), blockSize: 524288,
    blocks: [{ block: 4, bitmap: ones(128), data: stamp(1, 0, 524288) }],
  },
  'qemu, size not a multiple of the block': {
    type: 3, size: 7346176, creator: 'qemu', version: 0x00050003, hostOs: 'Wi2k', id: 'e'.repeat(32), geometry: [211, 4, 17],
    blocks: [{ block: 3, bitmap: ones(512), data: stamp(1, 0, 2097152) }, { block: 1, bitmap: ones(512), data: stamp(2, 0, 2097152) }],
  },
  'VirtualBox, differencing': {
    type: 4, size: 3 * 2097152, creator: 'vbox', version: 0x00070000, hostOs: 'Wi2k', id: 'f'.repeat(32),
    parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
    locators: [
      { code: 'W2ku', space: 1024, at: 2048, text: new Uint8Array(Buffer.from('C:\\vm\\parent.vhd', 'utf16le')) },
      { code: 'W2ru', space: 1024, at: 3072, text: new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le')) },
    ],
    blocks: [{ block: 2, bitmap: [0x0f], data: stamp(1, 0, 8 * 512) }],
  },
  'vhd-lib, locator space in sectors': {
    type: 4, size: 2 * 2097152, creator: 'xo  ', version: 0x00010000, id: '9'.repeat(32),
    parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
    locators: [{ code: 'W2ku', space: 1, at: 2048, text: new Uint8Array(Buffer.from('./parent.vhd', 'utf16le')) }],
    blocks: [{ block: 0, bitmap: ones(512), data: stamp(1, 0, 2097152) }],
  },
}
