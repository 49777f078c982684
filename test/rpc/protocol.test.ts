/** JSON-RPC 2.0 as its specification says it (section 7, "Examples"), with our calls in the place of its methods. */
import { beforeAll, describe, expect, it } from 'vitest'
import { methodNames, methodShape } from '../../core/methods/index.ts'
import { silentLog } from '../../host/log.ts'
import { readMethods } from '../../rpc/read-methods.ts'
import { frontMethodNames } from '../../rpc/front-methods.ts'
import { createRpcServer, type Connection } from '../../rpc/server.ts'
import { attachSr, createMemoryEngine, srUuid, type Memory } from './memory.ts'

let connection: Connection
let memory: Memory
const sent: string[] = []

beforeAll(async () => {
  const made = createMemoryEngine()
  memory = made.memory
  await attachSr(made.engine)
  connection = createRpcServer({ engine: made.engine, log: silentLog, discover: async () => ({ openrpc: '1.3.2' }) }).open({ send: (text) => sent.push(text), congested: () => false })
})

const ask = async (text: string): Promise<unknown> => {
  const answer = await connection.receive(Buffer.from(text))
  return answer === undefined ? undefined : JSON.parse(answer)
}
const fault = (code: number, id: unknown = null) => ({ jsonrpc: '2.0', id, error: { code, message: expect.any(String), data: expect.objectContaining({ message: expect.any(String), retry: 'never', remedy: expect.any(String) }) } })
const contentType = (id: number) => `{"jsonrpc": "2.0", "method": "SR.content_type", "params": {"sr_uuid": "${srUuid}"}, "id": ${id}}`

describe('JSON-RPC 2.0', () => {
  it('answers a call with named parameters, in whatever order its members come', async () => {
    expect(await ask(contentType(3))).toEqual({ jsonrpc: '2.0', id: 3, result: { content_type: 'vhd' } })
    expect(await ask(`{"id": "4", "params": {"sr_uuid": "${srUuid}"}, "method": "SR.content_type", "jsonrpc": "2.0"}`)).toEqual({ jsonrpc: '2.0', id: '4', result: { content_type: 'vhd' } })
  })

  it('answers with the id it was given: strings, numbers, fractions and null', async () => {
    for (const id of ['"a"', '0', '-1', '1.5', 'null']) {
      expect(await ask(`{"jsonrpc":"2.0","method":"Host.status","id":${id}}`)).toMatchObject({ id: JSON.parse(id), result: { host: 'host-1' } })
    }
  })

  it('refuses positional parameters: all of ours have names', async () => {
    expect(await ask(`{"jsonrpc": "2.0", "method": "SR.content_type", "params": ["${srUuid}"], "id": 1}`)).toEqual(fault(-32602, 1))
  })

  it('runs a notification and answers nothing, not even when it fails', async () => {
    memory.vdis.clear()
    expect(await ask(`{"jsonrpc":"2.0","method":"VDI.create","params":{"sr_uuid":"${srUuid}","size":512}}`)).toBeUndefined()
    expect(memory.vdis.size).toBe(1)
    expect(await ask('{"jsonrpc": "2.0", "method": "foobar"}')).toBeUndefined()
    expect(await ask('{"jsonrpc": "2.0", "method": "SR.stat", "params": {"sr_uuid": "no"}}')).toBeUndefined()
  })

  it('answers a call that does not exist', async () => {
    expect(await ask('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}')).toMatchObject({ id: '1', error: { code: -32601, data: { kind: 'notSupported', field: 'method', remedy: expect.stringContaining('SR.scan') } } })
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
      expect(await ask(JSON.stringify({ jsonrpc: '2.0', method: name, id: 1 }))).toMatchObject({ error: { code: -32601 } })
    }
  })

  it('answers invalid JSON', async () => {
    expect(await ask('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]')).toEqual(fault(-32700))
    expect(await ask('[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"')).toEqual(fault(-32700))
  })

  it('answers what is no request, with the id where it can be told', async () => {
    expect(await ask('{"jsonrpc": "2.0", "method": 1, "params": "bar"}')).toEqual(fault(-32600))
    expect(await ask('{"jsonrpc": "2.0", "method": "Host.status", "params": "bar", "id": 5}')).toEqual(fault(-32600, 5))
    expect(await ask('{"jsonrpc": "2.0", "method": "Host.status", "params": null, "id": 5}')).toEqual(fault(-32600, 5))
    expect(await ask('{"jsonrpc": "1.0", "method": "Host.status", "id": 5}')).toEqual(fault(-32600, 5))
    expect(await ask('{"method": "Host.status", "id": 5}')).toEqual(fault(-32600, 5))
    expect(await ask('{"jsonrpc": "2.0", "method": "Host.status", "id": {}}')).toEqual(fault(-32600))
    expect(await ask('{"jsonrpc": "2.0", "method": "Host.status", "id": true}')).toEqual(fault(-32600))
    for (const nothing of ['1', '"text"', 'null', 'true', '{}']) expect(await ask(nothing)).toEqual(fault(-32600))
  })

  it('refuses members that a request does not have: they would have no effect', async () => {
    expect(await ask(`{"jsonrpc":"2.0","method":"SR.stat","id":1,"sr_uuid":"${srUuid}"}`)).toMatchObject({ error: { code: -32600, message: expect.stringContaining('sr_uuid') } })
    expect(await ask('{"jsonrpc":"2.0","method":"Host.status","id":1,"__proto__":{"method":"SR.list"}}')).toMatchObject({ error: { code: -32600 } })
  })

  it('answers an empty batch', async () => {
    expect(await ask('[]')).toEqual(fault(-32600))
  })

  it('answers an invalid batch element by element, as an array', async () => {
    expect(await ask('[1]')).toEqual([fault(-32600)])
    expect(await ask('[1,2,3]')).toEqual([fault(-32600), fault(-32600), fault(-32600)])
  })

  it('answers a mixed batch: results, faults, and nothing for notifications', async () => {
    const answer = await ask(`[${contentType(1)},{"jsonrpc": "2.0", "method": "Host.status"},${contentType(2)},{"foo": "boo"},{"jsonrpc": "2.0", "method": "foo.get", "id": "5"},[]]`)
    expect(answer).toEqual([
      { jsonrpc: '2.0', id: 1, result: { content_type: 'vhd' } }, { jsonrpc: '2.0', id: 2, result: { content_type: 'vhd' } },
      fault(-32600), fault(-32601, '5'), fault(-32600),
    ])
  })

  it('answers a batch of notifications by nothing', async () => {
    expect(await ask('[{"jsonrpc":"2.0","method":"Host.status"},{"jsonrpc":"2.0","method":"nothing"}]')).toBeUndefined()
  })

  it('gives failures of the storage the number of their kind, with the whole report', async () => {
    expect(await ask(`{"jsonrpc":"2.0","id":1,"method":"VDI.stat","params":{"sr_uuid":"${srUuid}","vdi_uuid":"11111111-2222-4333-9444-555555555555"}}`)).toMatchObject({
      error: { code: 1004, message: expect.stringContaining('There is no VDI'), data: { kind: 'notFound', code: 1004, errno: 'ENODEV', retry: 'never', field: 'vdi_uuid', layer: 'engine' } },
    })
  })
})

describe('x-call', () => {
  const status = (call: string): string => `{"jsonrpc":"2.0","id":1,"method":"SR.stat","params":{"sr_uuid":"${srUuid}"},"x-call":${call}}`

  it('carries the place of the caller, which must agree with what the SR was attached with', async () => {
    expect(await ask(status('{"place":{"type":"memory","device_config":{"location":"/memory","password":"correct-horse-battery-staple"}}}'))).toHaveProperty('result')
    const other = await ask(status('{"place":{"type":"memory","device_config":{"location":"/elsewhere","password":"guessed-by-someone"}}}'))
    expect(other).toMatchObject({ error: { code: -32602, data: { kind: 'invalidArgument', field: 'device_config.location' } } })
    expect(JSON.stringify(other)).not.toContain('guessed')
    expect(JSON.stringify(other)).not.toContain('horse')
  })

  it('is checked like a parameter and never repeats a value', async () => {
    for (const wrong of ['1', 'null', '[]', '{"place":{"type":"memory"}}', '{"id":""}', '{"id":"with space"}', `{"id":"${'x'.repeat(129)}"}`, '{"progres":true}', '{"place":{"type":"memory","device_config":{"password":["hunter2"]}}}']) {
      const answer = await ask(status(wrong))
      expect(answer).toMatchObject({ id: 1, error: { code: -32602, data: { kind: 'invalidArgument', field: expect.stringMatching(/^x-call/) } } })
      expect(JSON.stringify(answer)).not.toContain('hunter2')
    }
  })
})

it('reads only what the client takes for reading: rpc/read-methods.ts lists exactly the calls that change nothing', () => {
  const table = [...methodNames.filter((name) => methodShape(name).effect === 'read'), ...frontMethodNames]
  expect([...readMethods].sort()).toEqual([...table].sort())
})
