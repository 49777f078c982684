/**
 * The wire, call by call: golden/<Call>/request.json is answered by response.json, and failure.json holds a request that
 * fails with its answer. UPDATE_GOLDEN=1 writes down the answers; read the difference before committing it.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../core/caller.ts'
import { asVdiUuid, copiedVdiUuid } from '../../core/ids.ts'
import { isMethod, methodNames, methodShape, type MethodName } from '../../core/methods/index.ts'
import { ErrorReportWire } from '../../core/methods/wire.ts'
import { silentLog } from '../../host/log.ts'
import { frontMethodNames } from '../../rpc/front-methods.ts'
import { createRpcServer } from '../../rpc/server.ts'
import { beforeArrayCall, goldenArrays, type GoldenArrays } from './golden-arrays.ts'
import { attachSr, createMemoryEngine, newUuid, otherSrUuid, snapshotUuid, srUuid, vdiUuid } from './memory.ts'

const folder = join(import.meta.dirname, 'golden')
const update = process.env['UPDATE_GOLDEN'] === '1'

interface Exchange {
  readonly request: object
  readonly response: unknown
}

const readJson = <T>(...path: readonly string[]): T => JSON.parse(readFileSync(join(folder, ...path), 'utf8')) as T
const writeJson = (value: unknown, ...path: readonly string[]): void => writeFileSync(join(folder, ...path), `${JSON.stringify(value, null, 2)}\n`)

/** Made up at run time: shown by kind, so that goldens stay the same. */
const known: ReadonlySet<string> = new Set([srUuid, otherSrUuid, vdiUuid, snapshotUuid, newUuid, '11111111-2222-4333-9444-555555555555', copiedVdiUuid(otherSrUuid, asVdiUuid(vdiUuid))])
const normal = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, raw: unknown) => {
    const item = typeof raw === 'string' ? arrayNormal(raw) : raw
    if (key === 'pid') return '<pid>'
    if (typeof item !== 'string') return item
    return item.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (uuid) => (known.has(uuid) ? uuid : '<uuid>'))
  }))

/** What has to be there before a call, beyond an attached SR with a VDI and a snapshot of it. */
const before: Readonly<Record<string, (engine: Engine) => Promise<unknown>>> = {
  'SR.forget': async (engine) => engine.call('SR.create', { sr_uuid: otherSrUuid, type: 'memory', device_config: { location: '/other' } }),
  'SR.attach': async (engine) => engine.call('SR.create', { sr_uuid: otherSrUuid, type: 'memory', device_config: { location: '/other' } }),
  'SR.delete': async (engine) => engine.call('VDI.lock', { sr_uuid: srUuid, vdi_uuid: vdiUuid, owner: 'somebody' }),
  'SR.backlog': async (engine) => engine.call('VDI.delete', { sr_uuid: srUuid, vdi_uuid: snapshotUuid }),
  'SR.collect': async (engine) => engine.call('VDI.delete', { sr_uuid: srUuid, vdi_uuid: snapshotUuid }),
  'VDI.detach': async (engine) => engine.call('VDI.attach', { sr_uuid: srUuid, vdi_uuid: vdiUuid }),
  'VDI.unlock': async (engine) => engine.call('VDI.lock', { sr_uuid: srUuid, vdi_uuid: vdiUuid, owner: 'host7/vm3' }),
}

/** Calls about arrays get two model arrays in a place of their own; its path and the arrays' own clock are shown by kind. */
let place: GoldenArrays | undefined
afterEach(() => {
  place?.remove()
  place = undefined
})
const ofArrays = (method: string): boolean => ['Array.', 'Replication.', 'SiteRecovery.'].some((noun) => method.startsWith(noun))
const arrayNormal = (text: string): string => (place === undefined ? text : text.replaceAll(place.root, '<place>').replaceAll(/20\d\d-\d\d-\d\dT[\d:.]+Z/g, '<time>'))

const scene = async (method: string) => {
  place?.remove()
  place = ofArrays(method) ? goldenArrays() : undefined
  const { engine } = createMemoryEngine(silentLog, undefined, place?.arrays)
  await place?.prepare(engine)
  await beforeArrayCall[method]?.(engine)
  await attachSr(engine)
  await engine.call('VDI.create', { sr_uuid: srUuid, vdi_uuid: vdiUuid, size: 1024 ** 3, name: 'root disk' })
  await engine.call('VDI.snapshot', { sr_uuid: srUuid, vdi_uuid: vdiUuid, dest_uuid: snapshotUuid, name: 'before the upgrade' })
  await before[method]?.(engine)
  const { task } = await engine.call('Task.start', { method: 'SR.stat', params: { sr_uuid: srUuid } })
  await engine.call('Task.wait', { task, timeout_seconds: 10 })
  const server = createRpcServer({ engine, log: silentLog, discover: async () => ({}) })
  const connection = server.open({ send: () => undefined, congested: () => false })
  return async (request: object): Promise<unknown> => {
    const text = JSON.stringify(request).replaceAll('"<task>"', JSON.stringify(task)).replaceAll('<place>', place?.root ?? '<place>')
    const answer = await connection.receive(Buffer.from(text))
    return JSON.parse(answer ?? 'null')
  }
}

const calls = [...methodNames, ...frontMethodNames.filter((name) => name !== 'rpc.discover')]

it('has goldens for every call of the table', () => {
  const present = readdirSync(folder).filter((name) => ['request.json', 'response.json', 'failure.json'].every((file) => existsSync(join(folder, name, file))))
  expect(present.sort()).toEqual([...calls].sort())
})

describe.each(readdirSync(folder))('%s', (name) => {
  it('answers its golden request with its golden response, which its schema allows', async () => {
    const answer = (await (await scene(name))(readJson<object>(name, 'request.json'))) as { readonly result: unknown }
    expect(answer).toHaveProperty('result')
    if (isMethod(name)) methodShape(name satisfies MethodName).result.parse(answer.result)
    if (update) writeJson(normal(answer), name, 'response.json')
    expect(normal(answer)).toEqual(readJson(name, 'response.json'))
  })

  it('fails as in its golden failure, with a full report', async () => {
    const golden = readJson<Exchange>(name, 'failure.json')
    const answer = (await (await scene(name))(golden.request)) as { readonly error: { readonly data: unknown } }
    ErrorReportWire().parse(answer.error.data)
    if (update) writeJson({ request: golden.request, response: normal(answer) }, name, 'failure.json')
    expect(normal(answer)).toEqual(readJson<Exchange>(name, 'failure.json').response)
  })
})
