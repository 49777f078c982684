/** Volume sets and host sets, which have one shape (facts 8), and QoS rules, whose targets are volume sets. */
import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { createSetSnapshot } from './copies.ts'
import { choice, count, flag, members, nameOf, needOneOf, read, text } from './members.ts'
import { list, needLicence, nextId, type Call, type Handler, type MemberSet, type Qos, type Tables } from './model.ts'
import { refuse, type RefusalName } from './refusals.ts'

interface Kind {
  readonly path: string
  readonly sets: (tables: Tables) => Tables['volumeSets']
  readonly has: (tables: Tables, name: string) => boolean
  readonly missing: RefusalName
}

const volumeSets: Kind = { path: 'volumesets', sets: (tables) => tables.volumeSets, has: (tables, name) => tables.volumes.get(name) !== undefined, missing: 'volumeMissing' }
const hostSets: Kind = { path: 'hostsets', sets: (tables) => tables.hostSets, has: (tables, name) => tables.hosts.get(name) !== undefined, missing: 'hostMissing' }

const creation = members({ name: nameOf(27), setmembers: z.array(z.string()).optional(), comment: text(255).optional(), domain: text(31).optional() })
const change = members({
  action: choice(1, 2).optional(), setmembers: z.array(z.string()).optional(), newName: nameOf(27).optional(), comment: text(255).optional(), flashCachePolicy: choice(1, 2).optional(),
})

const needSet = (kind: Kind, { tables, params }: Call): MemberSet => {
  const set = kind.sets(tables).get(params['name'] ?? '')
  if (set === undefined) throw refuse('setMissing', params['name'])
  return set
}

const qosTarget = (tables: Tables, set: string): Qos | undefined => tables.qos.get(`vvset:${set}`)

const view = (tables: Tables, set: MemberSet) => ({
  id: set.id, uuid: set.uuid, name: set.name, ...(set.members.length === 0 ? {} : { setmembers: set.members }), ...(set.comment === undefined ? {} : { comment: set.comment }),
  ...(set.domain === undefined ? {} : { domain: set.domain }), qosEnabled: qosTarget(tables, set.name)?.enabled ?? false,
  ...(set.flashCachePolicy === undefined ? {} : { flashCachePolicy: set.flashCachePolicy }),
})

const needMembers = (kind: Kind, tables: Tables, names: readonly string[]): void => {
  for (const name of names) if (!kind.has(tables, name)) throw refuse(kind.missing, name)
}

const exported = (tables: Tables, set: string): boolean => tables.vluns.all().some(({ volumeName, hostname }) => volumeName === `set:${set}` || hostname === `set:${set}`)

const create = (kind: Kind): Handler => ({ tables, body: sent }) => {
  const body = read(creation, sent)
  if (kind.sets(tables).get(body.name) !== undefined) throw refuse('setExists', body.name)
  const names = body.setmembers ?? []
  needMembers(kind, tables, names)
  kind.sets(tables).put(body.name, {
    id: nextId(tables, kind.path), uuid: randomUUID(), name: body.name, members: [...new Set(names)],
    ...(body.comment === undefined ? {} : { comment: body.comment }), ...(body.domain === undefined ? {} : { domain: body.domain }),
  })
  return { status: 201, location: `/${kind.path}/${body.name}` }
}

const changedMembers = (kind: Kind, tables: Tables, set: MemberSet, action: number, names: readonly string[]): readonly string[] => {
  needMembers(kind, tables, names)
  const wrong = names.find((name) => set.members.includes(name) === (action === 1))
  if (wrong !== undefined) throw refuse(action === 1 ? 'alreadyInSet' : 'notInSet', wrong)
  return action === 1 ? [...set.members, ...names] : set.members.filter((name) => !names.includes(name))
}

const rename = (tables: Tables, from: string, to: string): void => {
  const rule = qosTarget(tables, from)
  if (rule !== undefined) {
    tables.qos.remove(`vvset:${from}`)
    tables.qos.put(`vvset:${to}`, { ...rule, name: to })
  }
}

const modify = (kind: Kind): Handler => (call) => {
  const body = read(change, call.body)
  needOneOf(body, 'newName', 'setmembers')
  if (body.action !== undefined && body.setmembers === undefined) throw refuse('memberMissing', 'setmembers')
  if (body.action === undefined && body.setmembers !== undefined) throw refuse('memberMissing', 'action')
  const set = needSet(kind, call)
  const name = body.newName ?? set.name
  const sets = kind.sets(call.tables)
  if (name !== set.name && sets.get(name) !== undefined) throw refuse('setExists', name)
  if (name !== set.name && exported(call.tables, set.name)) throw refuse('inUse', set.name)
  const changed = body.action === undefined ? set.members : changedMembers(kind, call.tables, set, body.action, body.setmembers ?? [])
  sets.remove(set.name)
  sets.put(name, { ...set, name, members: changed, ...(body.comment === undefined ? {} : { comment: body.comment }), ...(body.flashCachePolicy === undefined ? {} : { flashCachePolicy: body.flashCachePolicy }) })
  if (name !== set.name && kind === volumeSets) rename(call.tables, set.name, name)
  return { location: `/${kind.path}/${name}` }
}

const remove = (kind: Kind): Handler => (call) => {
  const { name } = needSet(kind, call)
  if (kind === volumeSets && qosTarget(call.tables, name) !== undefined) throw refuse('setIsQosTarget', name)
  if (exported(call.tables, name)) throw refuse('exportedVlun', name)
  kind.sets(call.tables).remove(name)
  return {}
}

const routesOf = (kind: Kind) => [
  ['GET', `/${kind.path}`, (({ tables }) => list(kind.sets(tables).all().map((set) => view(tables, set)))) satisfies Handler],
  ['GET', `/${kind.path}/:name`, ((call) => ({ body: view(call.tables, needSet(kind, call)) })) satisfies Handler],
  ['POST', `/${kind.path}`, create(kind)],
  ['PUT', `/${kind.path}/:name`, modify(kind)],
  ['DELETE', `/${kind.path}/:name`, remove(kind)],
] as const satisfies readonly (readonly [string, string, Handler])[]

const rule = {
  priority: choice(1, 2, 3).optional(), bwMinGoalKB: count(1).optional(), bwMaxLimitKB: count(1).optional(), ioMinGoal: count(1).optional(), ioMaxLimit: count(1).optional(),
  bwMinGoalOP: choice(1, 2).optional(), bwMaxLimitOP: choice(1, 2).optional(), ioMinGoalOP: choice(1, 2).optional(), ioMaxLimitOP: choice(1, 2).optional(),
  latencyGoal: count(1).optional(), latencyGoaluSecs: count(1).optional(), defaultLatency: flag.optional(), enable: flag.optional(),
}
const qosCreation = members({ name: z.string().min(1).max(31), type: choice(1, 2), ...rule })
const qosChange = members(rule)
type Rule = z.output<typeof qosChange>

const needLimits = (body: Rule): void => {
  for (const [min, max] of [['bwMinGoalKB', 'bwMaxLimitKB'], ['ioMinGoal', 'ioMaxLimit']] as const) {
    if (body[min] === undefined) continue
    if (body[max] === undefined) throw refuse('memberMissing', max)
    if (body[min] > body[max]) throw refuse('exceedsRange', min)
  }
  needOneOf(body, 'latencyGoal', 'latencyGoaluSecs')
}

/** `vvset:<set>` or `sys:all_others`. */
const qosKey = (type: number, name: string): string => (type === 1 ? `vvset:${name}` : `sys:${name}`)
const needRule = ({ tables, params }: Call): Qos => {
  const found = tables.qos.get(params['target'] ?? '')
  if (found === undefined) throw refuse('qosMissing', params['target'])
  return found
}
const qosView = ({ id, name, type, enabled, rule: values }: Qos) => ({ id, name, type, enabled, priority: 2, ...values })

const createRule: Handler = ({ array, tables, body: sent }) => {
  const { name, type, enable, ...values } = read(qosCreation, sent)
  needLimits(values)
  needLicence(array, 'Priority Optimization')
  if (type === 1 ? tables.volumeSets.get(name) === undefined : name !== 'all_others') throw refuse('qosTargetMissing', name)
  const key = qosKey(type, name)
  if (tables.qos.get(key) !== undefined) throw refuse('qosExists', name)
  tables.qos.put(key, { id: nextId(tables, 'qos'), name, type, enabled: enable ?? true, rule: values })
  return { status: 201, location: `/qos/${key}` }
}

const changeRule: Handler = (call) => {
  const { enable, ...values } = read(qosChange, call.body)
  const found = needRule(call)
  const changed = { ...found.rule, ...values }
  needLimits(changed)
  call.tables.qos.put(qosKey(found.type, found.name), { ...found, enabled: enable ?? found.enabled, rule: changed })
  return { location: `/qos/${qosKey(found.type, found.name)}` }
}

const removeRule: Handler = (call) => {
  const { type, name } = needRule(call)
  call.tables.qos.remove(qosKey(type, name))
  return {}
}

export const setRoutes = [
  ...routesOf(volumeSets),
  ...routesOf(hostSets),
  ['POST', '/volumesets/:name', createSetSnapshot],
  ['GET', '/qos', (({ tables }) => list(tables.qos.all().map(qosView))) satisfies Handler],
  ['GET', '/qos/:target', ((call) => ({ body: qosView(needRule(call)) })) satisfies Handler],
  ['POST', '/qos', createRule],
  ['PUT', '/qos/:target', changeRule],
  ['DELETE', '/qos/:target', removeRule],
] as const satisfies readonly (readonly [string, string, Handler])[]
