import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isIdentity, lunIdentity, vdiOfLun, type LunIdentity } from '../../../host/scsi/identity.ts'

const must = (text: string): LunIdentity => {
  const found = lunIdentity(text)
  if (found === undefined) throw new Error(`no identity in ${text}`)
  return found
}

describe('the identity of a LUN', () => {
  it.each([
    // Recorded from /sys/block/sdX/device/wwid: LIO, tgt, an SSD, a disk without page 83.
    ['naa.6001405aaaaaaaa00004000800000000', '36001405aaaaaaaa00004000800000000', false],
    ['naa.60000000000000000e00000000010001', '360000000000000000e00000000010001', true],
    ['eui.0025385971b0a1c2', '20025385971b0a1c2', false],
    ['t10.IET     00010001                ', '1IET_00010001', true],
    ['naa.3000000100000001', '33000000100000001', true],
    ['NAA.6001405AAAAAAAA00004000800000000', '36001405aaaaaaaa00004000800000000', false],
  ])('%s is called %s by udev and multipath', (kernel, scsiId, weak) => {
    expect(must(kernel)).toMatchObject({ scsiId, weak })
  })

  it('is none where the kernel knows none', () => {
    expect(lunIdentity('')).toBeUndefined()
    expect(lunIdentity(' \0 ')).toBeUndefined()
  })

  it('is recognised in both spellings', () => {
    const lun = must('naa.6001405aaaaaaaa00004000800000000')
    expect(isIdentity(lun, '36001405AAAAAAAA00004000800000000')).toBe(true)
    expect(isIdentity(lun, 'naa.6001405aaaaaaaa00004000800000000')).toBe(true)
    expect(isIdentity(lun, '36001405aaaaaaaa00004000800000001')).toBe(false)
  })
})

describe('the VDI of a LUN', () => {
  it('is the version 5 uuid of its SCSI id: what uuidgen --sha1 makes of it', () => {
    // uuidgen --sha1 --namespace 5b2d8c1e-7a04-4f43-9d1c-3c0f6f0f8e11 --name 36001405aaaaaaaa00004000800000000
    expect(vdiOfLun(must('naa.6001405aaaaaaaa00004000800000000'), 'iqn.2024-01.org.example:t1')).toBe('4dc95566-1be6-5cfc-aefd-b78dd97d1159')
  })

  it('does not depend on the target, unless the identity may not be unique', () => {
    const strong = must('naa.6001405aaaaaaaa00004000800000000')
    expect(vdiOfLun(strong, 'iqn.a')).toBe(vdiOfLun(strong, 'iqn.b'))
    const weak = must('naa.60000000000000000e00000000010001')
    expect(vdiOfLun(weak, 'iqn.a')).not.toBe(vdiOfLun(weak, 'iqn.b'))
  })

  it('is a uuid, and another one for another identity', () => {
    const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 32, maxLength: 32 })
    fc.assert(fc.property(hex, hex, (a, b) => {
      const [one, two] = [vdiOfLun(must(`naa.${a}`), 'iqn.t'), vdiOfLun(must(`naa.${b}`), 'iqn.t')]
      expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(one === two).toBe(a === b)
    }))
  })
})
