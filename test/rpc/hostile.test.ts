/** Whatever comes in: one answer at most for each message, always JSON-RPC, never a crash, and nobody else is touched. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../core/caller.ts'
import { methodNames } from '../../core/methods/index.ts'
import { silentLog } from '../../host/log.ts'
import { frontMethodNames } from '../../rpc/front-methods.ts'
import { createRpcServer, type Connection } from '../../rpc/server.ts'
import { attachSr, createMemoryEngine, srUuid } from './memory.ts'

let engine: Engine
let connection: Connection
beforeAll(async () => {
  engine = createMemoryEngine().engine
  await attachSr(engine)
  connection = createRpcServer({ engine, log: silentLog, discover: async () => ({}) }).open({ send: () => undefined, congested: () => false })
})
afterAll(async () => engine.close())

interface Response {
  readonly jsonrpc: string
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data: { readonly kind: string } }
}

const ask = async (bytes: Buffer): Promise<readonly Response[]> => {
  const text = await connection.receive(bytes)
  if (text === undefined) return []
  const answer = JSON.parse(text) as Response | readonly Response[]
  return Array.isArray(answer) ? (answer as readonly Response[]) : [answer as Response]
}

const isSound = ({ jsonrpc, result, error }: Response): boolean =>
  jsonrpc === '2.0' && (result === undefined) !== (error === undefined) && (error === undefined || (Number.isInteger(error.code) && error.message !== '' && error.data.kind !== 'driverBug'))

/** Names that are dangerous where objects are used as maps. */
const wicked = ['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__', 'then', 'toJSON', 'length']
const names = fc.oneof(fc.constantFrom(...wicked, ...methodNames.filter((name) => name !== 'Task.wait'), ...frontMethodNames), fc.string())
const json = fc.jsonValue({ maxDepth: 5 })
const params = fc.oneof(json, fc.dictionary(fc.oneof(fc.constantFrom(...wicked, 'sr_uuid', 'vdi_uuid', 'type', 'device_config', 'size', 'name'), fc.string()), fc.oneof(json, fc.constant(srUuid), fc.constant('memory'))))

describe('whatever comes in', () => {
  it('as bytes is answered soundly', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      expect((await ask(Buffer.from(bytes))).every(isSound)).toBe(true)
    }), { numRuns: 500 })
  })

  it('as JSON is answered soundly', async () => {
    await fc.assert(fc.asyncProperty(json, async (value) => {
      expect((await ask(Buffer.from(JSON.stringify(value)))).every(isSound)).toBe(true)
    }), { numRuns: 500 })
  })

  it('as a request with any method, parameters and envelope is answered soundly and under its id', async () => {
    await fc.assert(fc.asyncProperty(names, params, fc.option(json, { nil: undefined }), async (method, given, call) => {
      const answers = await ask(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'mine', method, params: given, 'x-call': call })))
      expect(answers).toHaveLength(1)
      expect(answers.every(isSound), JSON.stringify(answers)).toBe(true)
      expect(answers[0]).toHaveProperty('id', 'mine')
    }), { numRuns: 1500 })
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(await engine.call('SR.content_type', { sr_uuid: srUuid })).toEqual({ content_type: 'vhd' })
  })

  it('in a batch gets at most as many answers as it has elements', async () => {
    await fc.assert(fc.asyncProperty(fc.array(json, { minLength: 1, maxLength: 20 }), async (batch) => {
      const answers = await ask(Buffer.from(JSON.stringify(batch)))
      expect(answers.length).toBeLessThanOrEqual(batch.length)
      expect(answers.every(isSound)).toBe(true)
    }))
  })

  it('an object that pretends to be something else stays data: a dconf with the names of Object.prototype', async () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"SR.create","params":{"type":"memory","device_config":{"__proto__":"/x","constructor":"/y","location":"/z"}}}`
    const [answer] = await ask(Buffer.from(text))
    expect(answer?.error).toMatchObject({ code: -32602, data: { kind: 'invalidArgument', message: expect.stringContaining('constructor') } })
  })
})
