import { describe, expect, it } from 'vitest'
import { toStorageError } from '../../core/errors.ts'

/** As Node 20 throws what libuv has no name for. */
const nodeError = (number: number): Error =>
  Object.assign(new Error(`Unknown system error -${number}: Unknown system error -${number}, open '/m/x'`), { errno: -number, code: `Unknown system error -${number}`, syscall: 'open', path: '/m/x' })

describe('system errors that Node cannot name', () => {
  it.each([[116, 'unreachable', "ESTALE: stale file handle, open '/m/x'"], [122, 'noSpace', "EDQUOT: disk quota exceeded, open '/m/x'"], [117, 'ioError', "EUCLEAN: the structure of the file system needs cleaning, open '/m/x'"]])('number %i is %s, by its name', (number, kind, message) => {
    expect(toStorageError(nodeError(number), 'driver:nfs')).toMatchObject({ kind, message })
  })

  it('and that nobody knows keep their number', () => {
    expect(toStorageError(nodeError(9999), 'driver:nfs')).toMatchObject({ kind: 'ioError', message: expect.stringContaining('-9999') })
  })
})
