import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFiles } from '../../../host/files/files.ts'

const files = createFiles()
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-files-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the file port on this host', () => {
  it('reads files of the kernel, which show no size', async () => {
    expect(await files.readText('/proc/self/mountinfo', 1024 * 1024)).toMatch(/^\d+ \d+ \d+:\d+ /)
    await expect(files.readText('/proc/self/mountinfo', 10)).rejects.toMatchObject({ kind: 'limitExceeded' })
  })

  it('reads nothing from an empty file, and no further than a file goes', async () => {
    writeFileSync(join(directory, 'empty'), '')
    writeFileSync(join(directory, 'five'), '12345')
    expect(await files.readText(join(directory, 'empty'), 100)).toBe('')
    const file = await files.open(join(directory, 'five'), 'read')
    expect(Buffer.from(await file.read(3, 2 ** 40)).toString()).toBe('45')
    expect(await file.read(9, 5)).toHaveLength(0)
    await file.close()
  })

  it('reads a device without a size in pieces, as far as it was asked', async () => {
    const file = await files.open('/dev/zero', 'read')
    expect(await file.read(0, 2_500_000)).toHaveLength(2_500_000)
    await file.close()
  })

  it('refuses a symbolic link in the last place', async () => {
    const { symlinkSync } = await import('node:fs')
    symlinkSync('/etc/hostname', join(directory, 'link'))
    await expect(files.readText(join(directory, 'link'), 100)).rejects.toMatchObject({ kind: 'identityMismatch' })
  })
})
