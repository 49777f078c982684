/** `/hosts` and `/hostsets`: who may be given volumes. WWNs are 16 bare hex digits here. */
import { pathOperation, setAction } from './enums.ts'
import { unless } from './errors.ts'
import type { Wsapi } from './client.ts'
import { segment, withQuery } from './query.ts'
import { Host, listOf, MemberSet } from './schemas.ts'

export interface Paths {
  readonly FCWWNs: readonly string[]
  readonly iSCSINames: readonly string[]
}

export type NamedHost = Host & { readonly name: string }

const named = (host: Host): readonly NamedHost[] => (host.name === undefined ? [] : [{ ...host, name: host.name }])

export const listHosts = async (api: Wsapi, query: string | undefined, signal: AbortSignal): Promise<readonly NamedHost[]> =>
  (await api.get(withQuery('/hosts', query), listOf(Host), 'list the hosts', signal)).members.flatMap(named)

export const findHost = async (api: Wsapi, name: string, signal: AbortSignal): Promise<NamedHost | undefined> => {
  const host = await unless('notFound', api.get(`/hosts/${segment(name)}`, Host, `read host ${name}`, signal))
  return host === undefined ? undefined : { ...host, name: host.name ?? name }
}

/** Paths of both kinds cannot be given at once: those of the second kind are added by `addPaths`. */
export const createHost = async (api: Wsapi, name: string, paths: Partial<Paths>, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: '/hosts', body: { name, persona: 2, ...paths }, what: `create host ${name}` }, signal)
}

export const renameHost = async (api: Wsapi, name: string, newName: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/hosts/${segment(name)}`, body: { newName }, what: `rename host ${name}` }, signal)
}

const changePaths = async (api: Wsapi, name: string, operation: number, paths: Partial<Paths>, signal: AbortSignal): Promise<void> => {
  await api.write({
    method: 'PUT', path: `/hosts/${segment(name)}`, body: { pathOperation: operation, ...paths, ...(operation === pathOperation.remove ? { forcePathRemoval: false } : {}) },
    what: `${operation === pathOperation.add ? 'add initiators to' : 'remove initiators from'} host ${name}`,
  }, signal)
}

export const addPaths = async (api: Wsapi, name: string, paths: Partial<Paths>, signal: AbortSignal): Promise<void> => changePaths(api, name, pathOperation.add, paths, signal)
export const removePaths = async (api: Wsapi, name: string, paths: Partial<Paths>, signal: AbortSignal): Promise<void> => changePaths(api, name, pathOperation.remove, paths, signal)

export const removeHost = async (api: Wsapi, name: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `/hosts/${segment(name)}`, what: `remove host ${name}` }, signal)
}

type SetKind = 'hostsets' | 'volumesets'

export const listSets = async (api: Wsapi, kind: SetKind, signal: AbortSignal): Promise<readonly MemberSet[]> => (await api.get(`/${kind}`, listOf(MemberSet), `list the ${kind}`, signal)).members

export const findSet = async (api: Wsapi, kind: SetKind, name: string, signal: AbortSignal): Promise<MemberSet | undefined> =>
  unless('notFound', api.get(`/${kind}/${segment(name)}`, MemberSet, `read the set ${name}`, signal))

export const createSet = async (api: Wsapi, kind: SetKind, want: { readonly name: string; readonly setmembers?: readonly string[]; readonly comment?: string }, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: `/${kind}`, body: want, what: `create the set ${want.name}` }, signal)
}

export const changeSet = async (api: Wsapi, kind: SetKind, name: string, change: 'add' | 'remove', members: readonly string[], signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/${kind}/${segment(name)}`, body: { action: setAction[change], setmembers: members }, what: `${change} members of the set ${name}` }, signal)
}

export const modifySet = async (api: Wsapi, kind: SetKind, name: string, change: { readonly comment: string }, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/${kind}/${segment(name)}`, body: change, what: `change the set ${name}`, repeatable: true }, signal)
}

export const removeSet = async (api: Wsapi, kind: SetKind, name: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `/${kind}/${segment(name)}`, what: `remove the set ${name}` }, signal)
}
