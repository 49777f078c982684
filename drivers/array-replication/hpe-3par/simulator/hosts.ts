/** Hosts and their paths (facts 10). Which paths are logged in is the world's to say: see ports.ts. */
import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { choice, count, flag, members, nameOf, needOneOf, read, text } from './members.ts'
import { list, nextId, type Call, type Handler, type Host, type Tables } from './model.ts'
import { portsOf } from './ports.ts'
import { parseQuery } from './query.ts'
import { refuse } from './refusals.ts'

const descriptors = members({ location: text(255).optional(), IPAddr: text(255).optional(), os: text(255).optional(), model: text(255).optional(), contact: text(255).optional(), comment: text(511).optional() })
const persona = count(1, 11)
const wwns = z.array(z.string())
const names = z.array(z.string().min(1).max(223))

const creation = members({
  name: nameOf(31), FCWWNs: wwns.optional(), iSCSINames: names.optional(), NQN: text(223).optional(), persona: persona.optional(), domain: text(31).optional(), forceTearDown: flag.optional(),
  descriptors: descriptors.optional(),
})
const change = members({
  newName: nameOf(31).optional(), persona: persona.optional(), descriptors: descriptors.optional(),
  pathOperation: choice(1, 2).optional(), FCWWNs: wwns.optional(), iSCSINames: names.optional(), forcePathRemoval: flag.optional(),
  chapOperation: choice(1, 2).optional(), chapOperationMode: choice(1, 2).optional(), chapName: text(223).optional(), chapSecret: z.string().optional(), chapSecretHex: flag.optional(), chapRemoveTargetOnly: flag.optional(),
})
type Change = z.output<typeof change>

const maxPaths = 1024

const canonicalWwn = (wwn: string): string => {
  const bare = wwn.replace(/[:.\- ]/g, '').toUpperCase()
  if (!/^[0-9A-F]{16}$/.test(bare)) throw refuse('badCharacter', 'FCWWNs')
  return bare
}

const pathsOf = (body: { readonly FCWWNs?: readonly string[] | undefined; readonly iSCSINames?: readonly string[] | undefined }) => {
  const fc = (body.FCWWNs ?? []).map(canonicalWwn)
  const iscsi = body.iSCSINames ?? []
  for (const paths of [fc, iscsi]) if (new Set(paths).size !== paths.length) throw refuse('pathTwice')
  return { fc, iscsi }
}

const needFree = (tables: Tables, { fc, iscsi }: { readonly fc: readonly string[]; readonly iscsi: readonly string[] }, mine?: string): void => {
  for (const host of tables.hosts.all()) {
    const taken = host.fc.find((path) => fc.includes(path)) ?? host.iscsi.find((path) => iscsi.includes(path))
    if (taken !== undefined) throw refuse(host.name === mine ? 'pathTwice' : 'pathClaimed', taken)
  }
}

const needHost = ({ tables, params }: Call): Host => {
  const host = tables.hosts.get(params['name'] ?? '')
  if (host === undefined) throw refuse('hostMissing', params['name'])
  return host
}

const create: Handler = ({ tables, body: sent }) => {
  const body = read(creation, sent)
  needOneOf(body, 'FCWWNs', 'iSCSINames')
  const paths = pathsOf(body)
  if (paths.fc.length + paths.iscsi.length > maxPaths) throw refuse('exceedsRange', 'FCWWNs')
  if (tables.hosts.get(body.name) !== undefined) throw refuse('hostExists', body.name)
  needFree(tables, paths)
  tables.hosts.put(body.name, {
    id: nextId(tables, 'host'), uuid: randomUUID(), name: body.name, persona: body.persona ?? 2, ...paths,
    ...(body.domain === undefined ? {} : { domain: body.domain }), ...(body.descriptors === undefined ? {} : { descriptors: body.descriptors }),
  })
  return { status: 201, location: `/hosts/${body.name}` }
}

const view = ({ array }: Call, host: Host) => {
  const port = portsOf(array).find(({ protocol, mode }) => protocol === 2 && mode === 2)
  return {
    id: host.id, name: host.name, uuid: host.uuid, persona: host.persona,
    FCPaths: host.fc.map((wwn) => ({ wwn })),
    iSCSIPaths: host.iscsi.map((name) => ({ name, ...(port === undefined ? {} : { portPos: port.portPos, IPAddr: '127.0.0.1' }) })),
    ...(host.descriptors === undefined ? {} : { descriptors: host.descriptors }), ...(host.domain === undefined ? {} : { domain: host.domain }),
    initiatorChapEnabled: host.initiatorChap !== undefined, ...(host.initiatorChap === undefined ? {} : { initiatorChapName: host.initiatorChap.name }),
    targetChapEnabled: host.targetChap !== undefined, ...(host.targetChap === undefined ? {} : { targetChapName: host.targetChap.name }),
    links: [{ href: `/api/v1/hosts/${host.name}`, rel: 'self' }],
  }
}

const withPaths = (tables: Tables, host: Host, body: Change): Host => {
  const { fc, iscsi } = pathsOf(body)
  if (fc.length + iscsi.length === 0) throw refuse('memberMissing', 'FCWWNs,iSCSINames')
  if (body.pathOperation === 1) {
    needFree(tables, { fc, iscsi }, host.name)
    if (host.fc.length + host.iscsi.length + fc.length + iscsi.length > maxPaths) throw refuse('exceedsRange', 'FCWWNs')
    return { ...host, fc: [...host.fc, ...fc], iscsi: [...host.iscsi, ...iscsi] }
  }
  const missing = fc.find((path) => !host.fc.includes(path)) ?? iscsi.find((path) => !host.iscsi.includes(path))
  if (missing !== undefined) throw refuse('pathMissing', missing)
  return { ...host, fc: host.fc.filter((path) => !fc.includes(path)), iscsi: host.iscsi.filter((path) => !iscsi.includes(path)) }
}

/** 12 to 16 characters, or 16 bytes in hex. */
const secretOf = (body: Change): { readonly name: string; readonly secret: string } => {
  if (body.chapName === undefined || body.chapName === '') throw refuse('memberMissing', 'chapName')
  const secret = body.chapSecret
  if (secret === undefined) throw refuse('memberMissing', 'chapSecret')
  if (body.chapSecretHex === true) {
    if (!/^(0x)?[0-9a-fA-F]{32}$/.test(secret)) throw refuse('badCharacter', 'chapSecret')
    return { name: body.chapName, secret: Buffer.from(secret.replace(/^0x/, ''), 'hex').toString('latin1') }
  }
  if (secret.length < 12) throw refuse('belowRange', 'chapSecret')
  if (secret.length > 16) throw refuse('tooLong', 'chapSecret')
  return { name: body.chapName, secret }
}

const withChap = (host: Host, body: Change): Host => {
  const { initiatorChap, targetChap: _, ...rest } = host
  if (body.chapOperation === 2) {
    return body.chapRemoveTargetOnly === true && initiatorChap !== undefined ? { ...rest, initiatorChap } : rest
  }
  const chap = secretOf(body)
  if (body.chapOperationMode === undefined) throw refuse('memberMissing', 'chapOperationMode')
  if (body.chapOperationMode === 1) return { ...host, initiatorChap: chap }
  if (initiatorChap === undefined) throw refuse('chapOrder', host.name)
  return { ...host, targetChap: chap }
}

const rename = (tables: Tables, from: string, to: string): void => {
  for (const set of tables.hostSets.all().filter(({ members: inside }) => inside.includes(from))) {
    tables.hostSets.put(set.name, { ...set, members: set.members.map((name) => (name === from ? to : name)) })
  }
}

const modify: Handler = (call) => {
  const { tables } = call
  const body = read(change, call.body)
  needOneOf(body, 'pathOperation', 'chapOperation', 'newName')
  const host = needHost(call)
  if (body.pathOperation === undefined && (body.FCWWNs !== undefined || body.iSCSINames !== undefined)) throw refuse('memberMissing', 'pathOperation')
  const name = body.newName ?? host.name
  if (name !== host.name && tables.hosts.get(name) !== undefined) throw refuse('hostExists', name)
  if (name !== host.name && tables.vluns.all().some(({ hostname }) => hostname === host.name)) throw refuse('exportedVlun', host.name)
  const edited = body.pathOperation !== undefined ? withPaths(tables, host, body) : body.chapOperation !== undefined ? withChap(host, body) : host
  tables.hosts.remove(host.name)
  tables.hosts.put(name, { ...edited, name, persona: body.persona ?? host.persona, ...(body.descriptors === undefined ? {} : { descriptors: { ...host.descriptors, ...body.descriptors } }) })
  if (name !== host.name) rename(tables, host.name, name)
  return { location: `/hosts/${name}` }
}

const remove: Handler = (call) => {
  const { name } = needHost(call)
  if (call.tables.vluns.all().some(({ hostname }) => hostname === name)) throw refuse('exportedVlun', name)
  if (call.tables.hostSets.all().some(({ members: inside }) => inside.includes(name))) throw refuse('hostInSet', name)
  call.tables.hosts.remove(name)
  return {}
}

const all: Handler = (call) => {
  const query = call.query.get('query')
  const found = call.tables.hosts.all().map((host) => view(call, host))
  return list(query === null ? found : found.filter(parseQuery(query)))
}

export const hostRoutes = [
  ['GET', '/hosts', all],
  ['GET', '/hosts/:name', ((call) => ({ body: view(call, needHost(call)) })) satisfies Handler],
  ['POST', '/hosts', create],
  ['PUT', '/hosts/:name', modify],
  ['DELETE', '/hosts/:name', remove],
] as const satisfies readonly (readonly [string, string, Handler])[]
