import * as z from 'zod'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFiles } from '../../host/files/files.ts'
import { createMarks } from '../../host/marks.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-marks-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const marks = (bootId = 'boot-1', prefix = 'lun') => createMarks({ files: createFiles(), runDirectory: directory, bootId }, prefix, z.strictObject({ user: z.string() }))

describe('marks', () => {
  it('are seen by every process, private to the user, and gone when they are removed', async () => {
    await marks().put('a', { user: 'one' })
    expect(await marks().read('a')).toEqual({ name: 'a', stale: false, value: { user: 'one' } })
    expect(statSync(join(directory, 'lun-a.json')).mode & 0o777).toBe(0o600)
    expect(await marks().remove('a')).toBe(true)
    expect(await marks().remove('a')).toBe(false)
    expect(await marks().list()).toEqual([])
    expect(readdirSync(directory)).toEqual([])
  })

  it('of an earlier boot are told from those of now', async () => {
    await marks('boot-1').put('a', { user: 'one' })
    expect((await marks('boot-2').list()).map(({ stale }) => stale)).toEqual([true])
  })

  it('are claimed by one of many, and the others learn by whom', async () => {
    const outcomes = await Promise.all(['one', 'two', 'three'].map(async (user) => marks().claim('a', { user })))
    expect(outcomes.filter((there) => there === undefined)).toHaveLength(1)
    const winner = (await marks().read('a'))?.value.user
    for (const there of outcomes) if (there !== undefined) expect(there.value.user).toBe(winner)
    expect(readdirSync(directory)).toEqual(['lun-a.json'])
  })

  it('of an earlier boot do not keep anybody from claiming', async () => {
    await marks('boot-1').put('a', { user: 'old' })
    expect(await marks('boot-2').claim('a', { user: 'new' })).toBeUndefined()
    expect((await marks('boot-2').read('a'))?.value.user).toBe('new')
  })

  it('do not mind other files of the directory, nor marks of another kind', async () => {
    writeFileSync(join(directory, 'something'), 'x')
    await marks('boot-1', 'lock').put('a', { user: 'one' })
    expect(await marks().list()).toEqual([])
  })

  it('that cannot be read are an error, and never nobody', async () => {
    writeFileSync(join(directory, 'lun-a.json'), '{')
    await expect(marks().read('a')).rejects.toMatchObject({ kind: 'ioError', facts: { remedy: expect.stringContaining('lun-a.json') } })
    await expect(marks().claim('a', { user: 'one' })).rejects.toMatchObject({ kind: 'ioError' })
  })
})
