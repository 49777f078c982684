import fc from 'fast-check'
import { expect, it } from 'vitest'
import { writeDown } from '../../rpc/write-down.ts'

it('writes the same text as JSON.stringify, whatever the answer is', async () => {
  await fc.assert(fc.asyncProperty(fc.jsonValue(), fc.constantFrom<string | number | null>('a"b', 7, null), async (result, id) => {
    const response = { jsonrpc: '2.0', id, result }
    expect(await writeDown(response)).toBe(JSON.stringify(response))
  }))
})

it('writes the same text for lists of thousands, with members left out where JSON has no word for them', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.option(fc.jsonValue(), { nil: undefined }), { minLength: 1, maxLength: 5 }), async (items) => {
    const response = { jsonrpc: '2.0', id: 1, result: { name: 'x', nothing: undefined, vdis: Array.from({ length: 2500 }, (_, at) => items[at % items.length]), last: true } }
    expect(await writeDown(response)).toBe(JSON.stringify(response))
  }), { numRuns: 20 })
})

it('lets others in while it writes a long list', async () => {
  const turns: string[] = []
  setImmediate(() => turns.push('somebody else'))
  await writeDown({ jsonrpc: '2.0', id: 1, result: { vdis: Array.from({ length: 5000 }, (_, at) => ({ at })) } }).then(() => turns.push('the list'))
  expect(turns).toEqual(['somebody else', 'the list'])
})
