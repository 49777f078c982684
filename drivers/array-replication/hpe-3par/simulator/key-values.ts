/** Key-value pairs of volumes, and the flash cache: small things that drivers keep or look for (facts 14). */
import { choice, count, members, nameOf, read, text } from './members.ts'
import { iso, list, seconds, type Call, type Handler, type KeyValue } from './model.ts'
import { refuse } from './refusals.ts'
import { needVolume } from './volume-records.ts'

/** The longest value of a public mock of such an array; the real limit is not known. */
const value = text(31)

const keyOf = (call: Call, key: string): string => `${needVolume(call.array, call.params['name'] ?? '').id}/${key}`

const needPair = (call: Call): { readonly at: string; readonly pair: KeyValue } => {
  const at = keyOf(call, call.params['key'] ?? '')
  const pair = call.tables.keyValues.get(at)
  if (pair === undefined) throw refuse('keyMissing', call.params['key'])
  return { at, pair }
}

const view = ({ key, value: held, createdMs }: KeyValue) => ({ key, value: held, creationTimeSec: seconds(createdMs), creationTime8601: iso(createdMs) })

const all: Handler = (call) => {
  const prefix = keyOf(call, '')
  const held = call.tables.keyValues
  return list(held.all().filter((pair) => held.get(`${prefix}${pair.key}`) === pair).map(view))
}

const create: Handler = (call) => {
  const body = read(members({ key: nameOf(31), value }), call.body)
  const at = keyOf(call, body.key)
  if (call.tables.keyValues.get(at) !== undefined) throw refuse('keyExists', body.key)
  call.tables.keyValues.put(at, { ...body, createdMs: call.world.now() })
  return { status: 201, location: `/volumes/${call.params['name']}/objectKeyValues/${body.key}` }
}

const modify: Handler = (call) => {
  const body = read(members({ value }), call.body)
  const { at, pair } = needPair(call)
  call.tables.keyValues.put(at, { ...pair, ...body })
  return { location: `/volumes/${call.params['name']}/objectKeyValues/${pair.key}` }
}

const remove: Handler = (call) => {
  call.tables.keyValues.remove(needPair(call).at)
  return {}
}

const gibStep = 16

const createCache: Handler = ({ tables, body }) => {
  const { flashCache } = read(members({ flashCache: members({ sizeGiB: count(gibStep), mode: choice(1, 2).optional() }) }), body)
  if (flashCache.sizeGiB % gibStep !== 0) throw refuse('exceedsRange', 'sizeGiB')
  if (tables.values.get('flashCache') !== undefined) throw refuse('inUse', 'flashCache')
  tables.values.put('flashCache', flashCache.sizeGiB)
  return { status: 201, location: '/flashcache' }
}

const needCache = ({ tables }: Call): number => {
  const size = tables.values.get('flashCache')
  if (size === undefined) throw refuse('flashCacheMissing')
  return size
}

const removeCache: Handler = (call) => {
  needCache(call)
  call.tables.values.remove('flashCache')
  return {}
}

export const keyValueRoutes = [
  ['GET', '/volumes/:name/objectKeyValues', all],
  ['GET', '/volumes/:name/objectKeyValues/:key', ((call) => ({ body: view(needPair(call).pair) })) satisfies Handler],
  ['POST', '/volumes/:name/objectKeyValues', create],
  ['PUT', '/volumes/:name/objectKeyValues/:key', modify],
  ['DELETE', '/volumes/:name/objectKeyValues/:key', remove],
  ['GET', '/flashcache', ((call) => ({ body: { sizeGiB: needCache(call), mode: 2 } })) satisfies Handler],
  ['POST', '', createCache],
  ['DELETE', '/flashcache', removeCache],
] as const satisfies readonly (readonly [string, string, Handler])[]
