import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { directCalls, type SystemCalls } from '../../../host/files/system-calls.ts'
import { createDirectoryReader, type ImageRow } from '../../../stores/image-files/scan/read-directory.ts'
import type { Pace } from '../../../stores/image-files/scan/pace.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-scan-'))
  for (let number = 0; number < 300; number += 1) {
    writeFileSync(join(directory, `image-${number}.vhd`), vhd.create({ size: (number + 1) * 2 * MiB, id: (number + 1).toString(16).padStart(32, '0'), createdMs: 1_700_000_000_000 }))
  }
  writeFileSync(join(directory, 'torn.vhd'), 'not an image')
  writeFileSync(join(directory, 'notes.txt'), 'none of ours')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const read = async (pace?: Pace, reader = createDirectoryReader(pace)): Promise<readonly ImageRow[]> => {
  const rows: ImageRow[] = []
  for await (const batch of reader.images(directory, vhd, 50)) rows.push(...batch)
  return rows.toSorted((a, b) => a.fileName.localeCompare(b.fileName))
}

/** A storage that takes a millisecond to find each file, and counts how many are looked for at once. */
const farAway = () => {
  let underWay = 0
  let most = 0
  const wait = new Int32Array(new SharedArrayBuffer(4))
  const pace: Pace = {
    direct: {
      ...directCalls,
      lstat(path) {
        Atomics.wait(wait, 0, 0, 1)
        return directCalls.lstat(path)
      },
    },
    queued: {
      ...directCalls,
      async lstat(path) {
        underWay += 1
        most = Math.max(most, underWay)
        await sleep(1)
        underWay -= 1
        return directCalls.lstat(path)
      },
    },
  }
  return { pace, most: () => most }
}

describe('reading a directory of images', () => {
  it('tells the same of a slow storage, where it has sixteen files under way, as of a fast one', async () => {
    const far = farAway()
    const slow = await read(far.pace)
    expect(slow).toEqual(await read())
    expect(slow).toHaveLength(301)
    expect(slow.filter((row) => row.problem !== undefined).map((row) => row.fileName)).toEqual(['torn.vhd'])
    expect(far.most()).toBe(16)
  })

  it('leaves out an image that is removed between the look at it and the reading, instead of calling it damaged', async () => {
    const open: SystemCalls['open'] = (path, ...rest) => {
      if (path.endsWith('image-7.vhd')) unlinkSync(path)
      return directCalls.open(path, ...rest)
    }
    const calls = { ...directCalls, open }
    const rows = await read({ direct: calls, queued: calls })
    expect(rows).toHaveLength(300)
    expect(rows.some((row) => row.fileName === 'image-7.vhd')).toBe(false)
  })

  it('opens again only what has changed since the last time', async () => {
    const opened: string[] = []
    const calls: SystemCalls = {
      ...directCalls,
      open(path, ...rest) {
        opened.push(path)
        return directCalls.open(path, ...rest)
      },
      // Long ago: what was changed a moment ago is not remembered.
      lstat: async (path) => {
        const stats = await directCalls.lstat(path)
        return Object.assign(Object.create(stats) as typeof stats, { ctimeMs: stats.ctimeMs - 10_000n })
      },
    }
    const pace = { direct: calls, queued: calls }
    const reader = createDirectoryReader(pace)
    await read(pace, reader)
    expect(opened).toHaveLength(301)
    opened.length = 0
    writeFileSync(join(directory, 'image-3.vhd'), 'torn meanwhile')
    const rows = await read(pace, reader)
    expect(opened).toEqual([join(directory, 'image-3.vhd')])
    expect(rows.find((row) => row.fileName === 'image-3.vhd')?.problem).toBeDefined()
  })

  it('reads the texts of a slow storage like those of a fast one, and fails when the directory cannot be listed', async () => {
    const texts = async (pace?: Pace) => createDirectoryReader(pace).texts(directory, '.txt', 100)
    for (let number = 0; number < 100; number += 1) writeFileSync(join(directory, `${number}.txt`), 'x'.repeat(number * 2))
    const fast = await texts()
    expect(fast?.size).toBe(101)
    expect(fast?.get('3.txt')).toBe('xxxxxx')
    expect(fast?.get('60.txt')).toBeUndefined()
    expect(Object.fromEntries((await texts(farAway().pace)) ?? [])).toEqual(Object.fromEntries(fast ?? []))
    expect(await createDirectoryReader().texts(join(directory, 'missing'), '.txt', 100)).toBeUndefined()
    expect(() => createDirectoryReader().images(join(directory, 'missing'), vhd, 50)).toThrow('ENOENT')
  })
})
