/** Going through everything that a crash can leave of a VHD, and looking at what is there then. */
import { expect } from 'vitest'
import type { Image } from '../../../formats/format.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { createMemoryFile, type CrashState, type MemoryFile } from '../memory-file.ts'
import { readChain } from './images.ts'

export const serious = async (image: Image): Promise<readonly string[]> =>
  (await image.check()).filter((finding) => finding.weight !== 'note').map((finding) => `${finding.weight}: ${finding.what}`)

/** What a store does first after a crash: finish what a record tells of, then repair. Also does both once more. */
export const recover = async (state: CrashState): Promise<{ readonly file: MemoryFile; readonly image: Image }> => {
  const file = createMemoryFile(state.content)
  if (state.record !== undefined) {
    await vhd.replay(file, state.record)
    const again = createMemoryFile(file.content())
    await vhd.replay(again, state.record)
    expect(again.ops, 'a second replay writes nothing').toEqual([])
  }
  const told = await vhd.repair(file, true)
  expect(await vhd.repair(file, false)).toEqual(told)
  expect(await vhd.repair(file, false), 'a second repair finds nothing').toEqual([])
  const image = await vhd.open(file)
  expect(image.summary).toMatchObject({ needsRepair: false, warnings: [] })
  expect(await serious(image)).toEqual([])
  return { file, image }
}

/** Which writes were begun and which syncs had returned when an operation was done, so that a state knows what it may show. */
export interface History {
  readonly writes: { readonly started: number; readonly offset: number; readonly bytes: Uint8Array }[]
  readonly syncs: { readonly done: number; readonly writes: number }[]
}

/** The contents that a sector may have in a state: that of the last sync, or of any write since. */
export const checkSectors = (read: Uint8Array, initial: Uint8Array, history: History, step: number, where: string): void => {
  const synced = history.syncs.filter((sync) => sync.done <= step).at(-1)?.writes ?? 0
  const must = initial.slice()
  for (const { offset, bytes } of history.writes.slice(0, synced)) must.set(bytes, offset)
  const may = history.writes.slice(synced).filter((write) => write.started <= step)
  if (Buffer.compare(read, must) === 0) return
  for (let at = 0; at < read.length; at += 512) {
    const sector = read.subarray(at, at + 512)
    const known = Buffer.compare(sector, must.subarray(at, at + 512)) === 0 || may.some(({ offset, bytes }) =>
      at >= offset && at < offset + bytes.length && Buffer.compare(sector, bytes.subarray(at - offset, at - offset + 512)) === 0)
    if (!known) throw new Error(`${where}: sector ${at / 512} is neither old nor new, it begins ${Buffer.from(sector.subarray(0, 8)).toString('hex')}`)
  }
}

export const readOver = async (image: Image, below: Uint8Array | undefined): Promise<Uint8Array> => {
  const size = image.summary.size
  const bytes = new Uint8Array(size)
  if (below !== undefined) bytes.set(below.subarray(0, size))
  for (const { offset, length } of await image.present(0, size)) bytes.set(await image.read(offset, length), offset)
  return bytes
}

export const sameAs = async (image: Image, model: Uint8Array): Promise<boolean> => Buffer.compare(await readChain([image], model.length), model) === 0
