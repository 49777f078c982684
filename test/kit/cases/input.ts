/** Wrong input: one clear error that names the field, and nothing is changed by it. */
import assert from 'node:assert/strict'
import type { MethodName } from '../../../core/methods/index.ts'
import type { Case, Topic } from '../case.ts'
import { rejects, type Stage, type TestSr } from '../stage.ts'

type Params = Readonly<Record<string, unknown>>

interface Wrong {
  readonly what: string
  readonly method: MethodName
  readonly params: (known: { readonly sr: TestSr; readonly vdi: string; readonly stage: Stage }) => Params
  readonly field: string
}

const size = 4 * 2 ** 20
const wrongSizes: readonly (readonly [string, unknown])[] = [
  ['zero', 0], ['negative', -4096], ['a fraction', 4096.5], ['a text', '4096'], ['not a number', null], ['beyond all integers', 2 ** 60], ['a list', [4096]],
]
const wrongUuids: readonly (readonly [string, unknown])[] = [
  ['a path', '../../../etc/passwd'], ['a path around a uuid', '../98de866e-b035-4b1a-a571-613bff542b89'], ['empty', ''], ['nil', '00000000-0000-0000-0000-000000000000'],
  ['without dashes', '98de866eb0354b1aa571613bff542b89'], ['with a line break', '98de866e-b035-4b1a-a571-613bff542b89\n'], ['with a zero byte', '98de866e-b035-4b1a-a571-613bff542b8\0'], ['a number', 5],
]

const wrongs: readonly Wrong[] = [
  ...wrongSizes.map(([what, value]): Wrong => ({ what: `size is ${what}`, method: 'VDI.create', params: () => ({ size: value }), field: 'size' })),
  ...wrongSizes.map(([what, value]): Wrong => ({ what: `new size is ${what}`, method: 'VDI.resize', params: ({ vdi }) => ({ vdi_uuid: vdi, size: value }), field: 'size' })),
  ...wrongUuids.map(([what, value]): Wrong => ({ what: `uuid is ${what}`, method: 'VDI.create', params: () => ({ vdi_uuid: value, size }), field: 'vdi_uuid' })),
  ...wrongUuids.map(([what, value]): Wrong => ({ what: `destination is ${what}`, method: 'VDI.clone', params: ({ vdi }) => ({ vdi_uuid: vdi, dest_uuid: value }), field: 'dest_uuid' })),
  ...wrongUuids.slice(0, 3).map(([what, value]): Wrong => ({ what: `VDI to delete is ${what}`, method: 'VDI.delete', params: () => ({ vdi_uuid: value }), field: 'vdi_uuid' })),
  ...wrongUuids.slice(0, 3).map(([what, value]): Wrong => ({ what: `SR is ${what}`, method: 'SR.scan', params: () => ({ sr_uuid: value }), field: 'sr_uuid' })),
  { what: 'a key is unknown', method: 'VDI.create', params: () => ({ size, sizee: 5 }), field: 'sizee' },
  { what: 'the size is missing', method: 'VDI.create', params: () => ({}), field: 'size' },
  { what: 'the VDI is missing', method: 'VDI.stat', params: () => ({}), field: 'vdi_uuid' },
  { what: 'the name is a number', method: 'VDI.create', params: () => ({ size, name: 5 }), field: 'name' },
  { what: 'the name is too long', method: 'VDI.create', params: () => ({ size, name: 'x'.repeat(256) }), field: 'name' },
  { what: 'the name holds a control character', method: 'VDI.create', params: () => ({ size, name: 'a\u0007b' }), field: 'name' },
  { what: 'the description is too long', method: 'SR.set_names', params: () => ({ description: 'x'.repeat(4001) }), field: 'description' },
  { what: 'the mode is unknown', method: 'VDI.attach', params: ({ vdi }) => ({ vdi_uuid: vdi, mode: 'rx' }), field: 'mode' },
  { what: 'the provisioning is unknown', method: 'VDI.create', params: () => ({ size, provisioning: 'thick' }), field: 'provisioning' },
  { what: 'the owner is empty', method: 'VDI.lock', params: ({ vdi }) => ({ vdi_uuid: vdi, owner: '' }), field: 'owner' },
  { what: 'the owner is missing', method: 'VDI.unlock', params: ({ vdi }) => ({ vdi_uuid: vdi }), field: 'owner' },
  { what: 'force is a text', method: 'VDI.lock', params: ({ vdi }) => ({ vdi_uuid: vdi, owner: 'x', force: 'yes' }), field: 'force' },
  { what: 'the life of a lock is zero', method: 'VDI.lock', params: ({ vdi }) => ({ vdi_uuid: vdi, owner: 'x', ttl_seconds: 0 }), field: 'ttl_seconds' },
  { what: 'the way of repair is unknown', method: 'SR.verify', params: () => ({ repair: true }), field: 'repair' },
]

const refusedByField = (wrong: readonly Wrong[]): Case['run'] => async (stage) => {
  const sr = await stage.sr()
  const { uuid: vdi } = await sr.disk()
  const before = { rows: (await sr.scan()).vdis, place: await stage.world.inventory() }
  for (const { what, method, params, field } of wrong) {
    const error = await rejects(['invalidArgument', 'sizeOutOfRange'], stage.main.call(method, { sr_uuid: sr.uuid, ...params({ sr, vdi, stage }) } as never)).catch((problem: unknown) => {
      throw new Error(`${method}, ${what}: ${problem instanceof Error ? problem.message : String(problem)}`, { cause: problem })
    })
    assert.equal(error.facts.field, field, `${method}, ${what}: the error names ${error.facts.field ?? 'no field'}: ${error.message}`)
    assert.ok(error.message.length < 1000, 'the error repeats what it was given at length')
  }
  assert.deepEqual({ rows: (await sr.scan()).vdis, place: await stage.world.inventory() }, before)
}

/** Methods with the parameter at fault: one case each keeps the number of calls small. */
const groups = [...new Set(wrongs.map(({ method, field }) => `${method} ${field}`))]

const withConfig = async (stage: Stage, change: (config: Record<string, string>) => Record<string, string>, method: 'SR.create' | 'SR.attach' | 'SR.introduce') => {
  const params = { type: stage.place.type, device_config: change({ ...stage.place.device_config }) }
  return rejects('invalidArgument', method === 'SR.attach' ? stage.main.call(method, { ...params, sr_uuid: '5d1fd2e6-4e61-4f43-9c5b-2a0a0d3f9c11' }) : stage.main.call(method, params))
}

export const input: Topic = {
  topic: 'wrong input',
  cases: [
    ...groups.map((group): Case => {
      const of = wrongs.filter(({ method, field }) => `${method} ${field}` === group)
      const [method, field] = group.split(' ')
      return { name: `${method ?? ''} refuses a wrong ${field ?? ''} by name (${of.map(({ what }) => what).join(', ')})`, decidedBy: 'engine', run: refusedByField(of) }
    }),
    {
      name: 'a call that does not exist is told from one that is not offered',
      decidedBy: 'engine',
      async run(stage) {
        const error = await rejects('notSupported', stage.main.call('VDI.explode' as MethodName, {} as never))
        assert.match(error.message, /VDI\.explode/)
      },
    },
    {
      name: 'an unknown type is answered with the known ones',
      decidedBy: 'engine',
      async run(stage) {
        const error = await rejects('invalidArgument', stage.main.call('SR.probe', { type: 'nosuchtype', device_config: {} }))
        assert.equal(error.facts.field, 'type')
        assert.ok((error.facts.remedy ?? '').includes(stage.place.type))
      },
    },
    {
      name: 'a misspelt key of the device_config is named, with the keys there are, and nothing is made',
      decidedBy: 'engine',
      async run(stage) {
        const before = await stage.world.inventory()
        const misspelt = (config: Record<string, string>): Record<string, string> => ({ ...config, 'no-such-key': 'x' })
        for (const method of [...(stage.driver.srOperations.includes('create') ? ['SR.create' as const] : []), 'SR.attach', 'SR.introduce'] as const) {
          const error = await withConfig(stage, misspelt, method)
          assert.match(error.facts.field ?? '', /^device_config\.no-such-key$/)
          for (const key of Object.keys(stage.place.device_config)) assert.ok((error.facts.remedy ?? '').includes(key), `the remedy of ${method} does not name ${key}`)
        }
        assert.deepEqual(await stage.world.inventory(), before)
        assert.deepEqual((await stage.main.call('SR.list', {})).srs, [])
      },
    },
    {
      name: 'a missing key of the device_config is named, and nothing is made',
      decidedBy: 'engine',
      async run(stage) {
        const before = await stage.world.inventory()
        for (const method of [...(stage.driver.srOperations.includes('create') ? ['SR.create' as const] : []), 'SR.attach', 'SR.introduce'] as const) {
          assert.match((await withConfig(stage, () => ({}), method)).facts.field ?? '', /^device_config/)
        }
        assert.deepEqual(await stage.world.inventory(), before)
      },
    },
    {
      name: 'half a device_config can be probed, and the probe tells what it tried',
      async run(stage) {
        const { tried } = await stage.main.call('SR.probe', { type: stage.place.type, device_config: {} })
        assert.ok(tried.length > 0)
      },
    },
  ],
}
