/** Files of one SRA command. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createProgress, createSink, writeResponseFile } from '../../../cli/sra/files.ts'
import * as output from '../../../cli/output.ts'

let place = ''
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'sra files '))
  vi.spyOn(output, 'writeOut').mockImplementation(() => undefined)
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(place, { recursive: true, force: true })
})

describe('the response', () => {
  it('takes the place of an empty file, keeps its rights, and leaves nothing else behind', () => {
    const path = join(place, 'the response.xml')
    writeFileSync(path, '', { mode: 0o640 })
    writeResponseFile(path, '<Response/>')
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777, readdirSync(place)]).toEqual(['<Response/>', 0o640, ['the response.xml']])
  })

  it('says which file cannot be written, and leaves nothing behind', () => {
    expect(() => writeResponseFile(join(place, 'missing', 'out.xml'), '<Response/>')).toThrow(/could not be written to .*missing/)
    const folder = join(place, 'out.xml')
    mkdirSync(join(folder, 'full'), { recursive: true })
    expect(() => writeResponseFile(folder, '<Response/>')).toThrow(/could not be written/)
    expect(readdirSync(place)).toEqual(['out.xml'])
  })
})

describe('progress', () => {
  it('appends one document a message, each percent once', () => {
    const path = join(place, 'status.xml')
    writeFileSync(path, '')
    const progress = createProgress(path)
    for (const percent of [0, 0, 50, 100]) progress(percent)
    expect(readFileSync(path, 'utf8').match(/<ProgressUpdate xmlns="[^"]+">\d+</g)?.map((text) => text.replace(/.*>(\d+)</, '$1'))).toEqual(['0', '50', '100'])
  })

  it('stops nothing when the file is not there or cannot be', () => {
    expect(() => createProgress(join(place, 'no', 'status.xml'))(5)).not.toThrow()
    expect(() => createProgress(undefined)(5)).not.toThrow()
  })
})

describe('the log', () => {
  it('makes its directory, and goes to standard output too', () => {
    const directory = join(place, 'logs', 'of srm')
    createSink(directory)('one\n  two')
    expect(readFileSync(join(directory, 'storage-manager-sra.log'), 'utf8')).toBe('one\n  two\n')
    expect(output.writeOut).toHaveBeenCalledWith('one\n  two\n')
  })

  it('keeps five full logs and begins a new one', () => {
    const path = join(place, 'storage-manager-sra.log')
    for (let round = 0; round < 8; round += 1) {
      createSink(place)(`round ${round}`)
      truncateSync(path, 17 * 1024 * 1024)
    }
    createSink(place)('the newest')
    expect(readFileSync(path, 'utf8')).toBe('the newest\n')
    expect(readdirSync(place).sort()).toEqual(['storage-manager-sra.log', ...[1, 2, 3, 4, 5].map((number) => `storage-manager-sra.log.${number}`)])
    expect(readFileSync(`${path}.1`, 'utf8').startsWith('round 7')).toBe(true)
  })

  it('stops nothing when its directory cannot be made', () => {
    writeFileSync(join(place, 'file'), '')
    const line = createSink(join(place, 'file', 'logs'))
    line('still told')
    expect(output.writeOut).toHaveBeenLastCalledWith('still told\n')
  })
})
