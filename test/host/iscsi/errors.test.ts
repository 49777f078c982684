import { describe, expect, it } from 'vitest'
import { StorageError, type ErrorKind } from '../../../core/errors.ts'
import { explainIscsi } from '../../../host/iscsi/errors.ts'

const failed = (status: number, stderr = ''): StorageError => new StorageError('toolFailed', `iscsiadm failed with status ${status}`, { layer: 'host:iscsiadm', mayHaveChanged: true, details: { exit_code: status, stderr } })

const explained = (error: unknown): StorageError => {
  try {
    return explainIscsi('login to iqn.x at 192.0.2.10:3260')(error)
  } catch (thrown) {
    return thrown as StorageError
  }
}

describe('a failed run of iscsiadm', () => {
  it.each<readonly [number, ErrorKind, RegExp]>([
    [24, 'permissionDenied', /chapuser and chappassword/],
    [19, 'permissionDenied', /chapuser_in/],
    [8, 'unreachable', /nc -zv/],
    [11, 'unreachable', /firewall/],
    [20, 'toolFailed', /systemctl enable --now iscsid/],
    [6, 'toolFailed', /\/run\/lock\/iscsi/],
  ])('with status %i is %s, and says what to do', (status, kind, remedy) => {
    const error = explained(failed(status))
    expect(error.kind).toBe(kind)
    expect(error.message).toMatch(/^login to iqn\.x at 192\.0\.2\.10:3260: ./)
    expect(error.facts.remedy).toMatch(remedy)
    expect(error.facts.mayHaveChanged).toBe(true)
  })

  it('with a status that nobody knows shows what it said', () => {
    expect(explained(failed(42, 'iscsiadm: something new\n'))).toMatchObject({ kind: 'toolFailed', message: expect.stringContaining('something new') })
  })

  it('that was killed at its time limit did not reach anybody', () => {
    expect(explained(new StorageError('outcomeUnknown', 'iscsiadm did not end within 20 s', {})).kind).toBe('unreachable')
  })

  it('leaves every other failure as it is', () => {
    const missing = new StorageError('toolMissing', 'iscsiadm is not installed', {})
    expect(explained(missing)).toBe(missing)
    const other = new Error('x')
    expect(explained(other)).toBe(other)
  })
})
