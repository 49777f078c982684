import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { errnoNumbers, errorFromReport, errorTable, reportError, StorageError, toStorageError } from '../../core/errors.ts'
import { copiedVdiUuid, SrUuid, VdiUuid } from '../../core/ids.ts'
import { formatSize, parseSize } from '../../core/units.ts'

describe('uuids', () => {
  it('are accepted in any version and case and come out lower case', () => {
    expect(SrUuid.parse('87B8646B-b800-9500-cb7b-af3b74e02f5c')).toBe('87b8646b-b800-9500-cb7b-af3b74e02f5c')
  })

  it.each(['', '..', '../../etc/passwd', '87b8646b-b800-9500-cb7b-af3b74e02f5c/..', '87b8646b-b800-9500-cb7b-af3b74e02f5c\n',
    '00000000-0000-0000-0000-000000000000', '{87b8646b-b800-9500-cb7b-af3b74e02f5c}', '87b8646bb8009500cb7baf3b74e02f5c'])(
    'refuse %j, which could be more than a name', (text) => {
      expect(VdiUuid.safeParse(text).success).toBe(false)
    })

  it('never let a path separator, a dot or a NUL through', () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const parsed = VdiUuid.safeParse(text)
      expect(parsed.success && /[^0-9a-f-]/.test(parsed.data)).toBe(false)
    }))
  })
})

describe('sizes', () => {
  it.each([['10G', 10737418240], ['512MiB', 536870912], ['1.5T', 1649267441664], ['1000', 1000], ['1kb', 1000]])('read %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each(['', '-1', '1.5', 'ten', '1e9', '0x10', '1 000', '99999999T', 'NaN', 'Infinity'])('refuse %j', (text) => {
    expect(parseSize(text)).toBeUndefined()
  })

  it('are written for eyes with two digits', () => {
    expect([0, 512, 2097152, 10737418240].map(formatSize)).toEqual(['0 B', '512 B', '2.0 MiB', '10 GiB'])
  })
})

describe('the table of errors', () => {
  it('knows errors that another copy of the module made, as a bundled driver does', async () => {
    vi.resetModules()
    const { StorageError: Other } = await import('../../core/errors.ts')
    expect(Other).not.toBe(StorageError)
    expect(toStorageError(new Other('noSpace', 'full'), 'engine').kind).toBe('noSpace')
    expect(new Error('plain') instanceof StorageError).toBe(false)
    expect((null as unknown) instanceof StorageError).toBe(false)
  })

  it('gives every kind its own number', () => {
    const numbers = Object.values(errorTable).map((row) => row.code)
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  it('maps every kind to one of the nine codes of the SM API', () => {
    for (const row of Object.values(errorTable)) expect(Object.keys(errnoNumbers)).toContain(row.errno)
  })

  it('loses nothing on the way through a report', () => {
    const error = new StorageError('noSpace', 'full', { field: 'size', layer: 'x', remedy: 'free some', mayHaveChanged: true, details: { needed: 5 } })
    expect(reportError(errorFromReport(reportError(error)))).toEqual(reportError(error))
  })

  it.each([['ENOSPC', 'noSpace'], ['EROFS', 'readOnly'], ['ESTALE', 'unreachable'], ['EIO', 'ioError'], ['EWHATEVER', 'ioError']])('knows the system error %s as %s', (code, kind) => {
    expect(toStorageError(Object.assign(new Error(code), { code, syscall: 'write' }), 'test').kind).toBe(kind)
  })

  it('calls a throw that nobody foresaw a bug of ours', () => {
    expect(toStorageError(new TypeError('x is undefined'), 'test').kind).toBe('driverBug')
  })
})

describe('uuids of VDIs in a re-identified copy', () => {
  it('are the same at every repeat, valid, and different for every VDI and every copy', () => {
    fc.assert(fc.property(fc.uuid(), fc.uuid(), fc.uuid(), (copy, one, other) => {
      fc.pre(one !== other)
      const made = copiedVdiUuid(SrUuid.parse(copy), VdiUuid.parse(one))
      expect(made).toBe(copiedVdiUuid(SrUuid.parse(copy), VdiUuid.parse(one)))
      expect(made).not.toBe(copiedVdiUuid(SrUuid.parse(copy), VdiUuid.parse(other)))
      expect(made).not.toBe(copiedVdiUuid(SrUuid.parse(other), VdiUuid.parse(one)))
    }))
  })
})
