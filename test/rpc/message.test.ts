import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../rpc/limits.ts'
import { nestedDeeperThan, parseMessage } from '../../rpc/message.ts'

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Object.values(value).reduce<number>((deepest, item) => Math.max(deepest, depthOf(item)), 0) : 0

const codeOf = (bytes: Buffer): number | undefined => {
  const parsed = parseMessage(bytes, defaultLimits)
  return parsed.ok ? undefined : parsed.fault.code
}

describe('a message', () => {
  it('is measured for nesting as deep as its value is, strings full of brackets included', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(10), (value, limit) => {
      expect(nestedDeeperThan(Buffer.from(JSON.stringify(value)), limit)).toBe(depthOf(value) > limit)
    }))
    expect(nestedDeeperThan(Buffer.from('["[[[[\\"[[[[", "\\\\"]'), 1)).toBe(false)
  })

  it('nested a million times is refused without touching the stack', () => {
    const limits = { ...defaultLimits, messageBytes: 10_000_000 }
    expect(parseMessage(Buffer.from('['.repeat(1_000_000)), limits)).toMatchObject({ ok: false, fault: { code: -32600, data: { kind: 'invalidArgument' } } })
    expect(parseMessage(Buffer.from('{"a":'.repeat(1_000_000)), limits)).toMatchObject({ ok: false, fault: { code: -32600 } })
  })

  it('that is no UTF-8 is refused as such, not read with replaced characters', () => {
    expect(parseMessage(Buffer.from([0x22, 0xc3, 0x28, 0x22]), defaultLimits)).toMatchObject({ ok: false, fault: { code: -32700, message: expect.stringContaining('UTF-8') } })
    expect(codeOf(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toBe(-32700)
  })

  it('of any bytes is either a value or one fault that does not repeat them', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const parsed = parseMessage(Buffer.from(bytes), defaultLimits)
      if (!parsed.ok) expect([-32700, -32600]).toContain(parsed.fault.code)
    }))
    const secret = '{"password": "hunter2hunter2"'
    expect(JSON.stringify(parseMessage(Buffer.from(secret), defaultLimits))).not.toContain('hunter2')
  })

  it('leaves every prototype alone, whatever its keys are called', () => {
    const parsed = parseMessage(Buffer.from('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'), defaultLimits)
    expect(parsed.ok).toBe(true)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})
