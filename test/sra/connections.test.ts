/** From what the user entered at SRM to the connection of a driver. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { ArrayDriver } from '../../core/array/contract.ts'
import { connectionOf } from '../../sra/connections.ts'

const schema = z.strictObject({
  url: z.string().meta({ role: 'address', description: 'where' }), login: z.string().meta({ role: 'username', description: 'who' }),
  secret: z.string().meta({ role: 'password', secret: true, description: 'word' }), pool: z.string().optional().meta({ description: 'pool' }), peer: z.string().optional().meta({ secret: true, description: 'peer' }),
})
const driver = { type: 'some', connection: schema } as unknown as ArrayDriver
const known = { name: 'left', type: 'some', connection: { url: 'https://a', login: 'old', secret: 'old', peer: 'x' } }
const records = { list: () => [known, { name: 'other', type: 'else', connection: {} }], get: () => undefined, put: () => undefined, remove: () => false }
const entered = (address: string, more: object = {}) => ({ id: 'array', addresses: [{ id: 'address', text: address }], ...more }) as Parameters<typeof connectionOf>[0]
const settings = (text: string) => ({ opaques: [{ id: 'settings', text }] })

describe('the connection to an array', () => {
  it('is the configured one, with the user and password that were entered', () => {
    expect(connectionOf(entered('left', { username: 'new', password: 'p w' }), driver, records)).toEqual({ url: 'https://a', login: 'new', secret: 'p w', peer: 'x' })
    expect(connectionOf(entered('left', { username: '', password: '' }), driver, records)).toEqual(known.connection)
  })

  it('is made of what was entered when no such array is configured, whatever its address is', () => {
    expect(connectionOf(entered('../left', { username: 'u', password: 'p', ...settings('pool="a b"') }), driver, records)).toEqual({ url: '../left', login: 'u', secret: 'p', pool: 'a b' })
  })

  it.each([
    ['an array of another type', 'other', {}, /of type else/],
    ['a blank address', '  ', {}, /address/],
    ['a secret among the settings', 'x', settings('peer=hush-hush'), /peer is a secret/],
    ['settings that are no pairs', 'x', settings('hush-hush'), /no key=value/],
    ['a setting twice', 'x', settings('pool=a pool=b'), /twice/],
  ])('is refused with %s, and repeats no value', (_, address, more, says) => {
    const refused = (): unknown => connectionOf(entered(address, more), driver, records)
    expect(refused).toThrow(says)
    expect(refused).not.toThrow(/hush/)
  })
})
