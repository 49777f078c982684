import { describe, expect, it } from 'vitest'
import { formatPortal, parsePortal, samePortal } from '../../../host/iscsi/portal.ts'

describe('a portal', () => {
  it.each([
    ['192.0.2.10', { address: '192.0.2.10', port: 3260 }],
    ['192.0.2.10:3261', { address: '192.0.2.10', port: 3261 }],
    ['array.example', { address: 'array.example', port: 3260 }],
    ['array-1.example:860', { address: 'array-1.example', port: 860 }],
    ['2001:db8::10', { address: '2001:db8::10', port: 3260 }],
    ['[2001:db8::10]', { address: '2001:db8::10', port: 3260 }],
    ['[2001:db8::10]:3261', { address: '2001:db8::10', port: 3261 }],
    ['::1', { address: '::1', port: 3260 }],
  ])('is read from %s', (text, portal) => {
    expect(parsePortal(text)).toEqual(portal)
  })

  it.each(['', '-p', '--target', '192.0.2.10:0', '192.0.2.10:65536', '192.0.2.10:', 'a b', 'array;id', 'array/x', '192.0.2.10:3260,1', '[2001:db8::10', 'x:y'])('is not read from %j', (text) => {
    expect(parsePortal(text)).toBeUndefined()
  })

  it('takes the port of the dconf where it names none', () => {
    expect(parsePortal('192.0.2.10', 3299)?.port).toBe(3299)
    expect(parsePortal('192.0.2.10:3260', 3299)?.port).toBe(3260)
  })

  it('is the same in every spelling of its address', () => {
    expect(samePortal({ address: '2001:DB8:0:0::10', port: 3260 }, { address: '2001:db8::10', port: 3260 })).toBe(true)
    expect(samePortal({ address: 'Array.Example', port: 3260 }, { address: 'array.example', port: 3260 })).toBe(true)
    expect(samePortal({ address: '192.0.2.10', port: 3260 }, { address: '192.0.2.10', port: 3261 })).toBe(false)
    expect(formatPortal({ address: '2001:db8::10', port: 3260 })).toBe('[2001:db8::10]:3260')
  })
})
