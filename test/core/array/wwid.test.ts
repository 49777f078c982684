/** Identities of volumes: every spelling of the same page-83 designator is the same identity. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asWwid, page83Of, parseWwid } from '../../../core/array/wwid.ts'

const hex = (length: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'), minLength: length, maxLength: length })
const naa = fc.oneof(hex(31).map((rest) => `6${rest}`), fc.tuple(fc.constantFrom('2', '3', '5'), hex(15)).map(([first, rest]) => first + rest))

describe('the identity of a volume', () => {
  it('is one canonical form, whatever spelling it came in', () => {
    fc.assert(fc.property(naa, (digits) => {
      const pairs = digits.match(/../g)?.join(':') ?? ''
      for (const spelling of [digits, digits.toUpperCase(), `0x${digits}`, `naa.${digits}`, `3${digits}`, pairs, ` ${digits} `]) {
        expect(parseWwid(spelling)).toBe(`naa.${digits}`)
      }
    }))
  })

  it('is rendered as the designator digit and the digits, and read back from it', () => {
    fc.assert(fc.property(naa, (digits) => {
      expect(page83Of(asWwid(digits))).toBe(`3${digits}`)
      expect(parseWwid(page83Of(asWwid(digits)))).toBe(`naa.${digits}`)
    }))
    expect(page83Of(asWwid('eui.0025385b71b0a1c2'))).toBe('20025385b71b0a1c2')
    expect(parseWwid('20025385b71b0a1c2')).toBe('eui.0025385b71b0a1c2')
  })

  it.each(['', '0', '6', 'naa.7000000000000000', '60002ac000000000000000000000', 'sda', '1ATA     disk', 't10.ATA', '36', `6${'g'.repeat(31)}`])('is not made out of %j', (text) => {
    expect(parseWwid(text)).toBeUndefined()
    expect(() => asWwid(text, 'page83')).toThrowError(/page83/)
  })
})
