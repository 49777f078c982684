import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deviceNumbers, deviceOfIdentity } from '../../../host/files/device-numbers.ts'

describe('device numbers', () => {
  it('come out of the packed form as makedev(3) put them in', () => {
    // Node gives the packed number as a double: exact as long as it stays below 2^53, which majors of 12 bits do.
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xfff }), fc.integer({ min: 0, max: 0xffffffff }), (major, minor) => {
      const packed = (BigInt(minor) & 0xffn) | (BigInt(major) << 8n) | ((BigInt(minor) & 0xffffff00n) << 12n)
      expect(deviceNumbers(Number(packed))).toEqual({ major, minor })
    }))
  })

  it('of a file are those of the device it lies on', () => {
    expect(deviceOfIdentity('2049:131')).toBe('8:1')
    expect(deviceOfIdentity('64768:2')).toBe('253:0')
  })
})
