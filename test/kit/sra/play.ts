/**
 * The workflows of SRM (interface 2.0, "End-to-End Workflows") for one unit, or several at once: which command at which site with which
 * names. Names come from discoverDevices and from the responses alone.
 */
import { strict as assert } from 'node:assert'
import type { AnswerOf } from '../../../sra/schema/index.ts'
import { otherSite, type SiteName } from '../replication/world.ts'
import type { Srm } from './srm.ts'
import type { PlayWorld } from './world.ts'

type Devices = AnswerOf<'discoverDevices'>['replicatedDevices']

/** One unit as a site shows it: what the document's state descriptions say of it. */
export interface Seen {
  readonly view: 'source' | 'demoted' | 'target' | 'tested' | 'promoted'
  readonly id?: string
  readonly key: string
  /** Devices that a host could find by what is shown. */
  readonly identities: number
  readonly members: readonly string[]
}

const count = (items: readonly { readonly identity?: unknown }[]): number => items.filter(({ identity }) => identity !== undefined).length
const uniform = (states: readonly unknown[]): void => assert.equal(new Set(states).size, 1, `all members have the state of their group: ${states.join()}`)

const seenIn = (devices: Devices, name: string): Seen => {
  const all: Seen[] = []
  for (const group of devices.consistencyGroups ?? []) {
    if (group.name !== name) continue
    uniform([group.state, ...group.sourceDevices.map(({ state }) => state)])
    all.push({ view: group.state === 'read-write' ? 'source' : 'demoted', id: group.id, key: group.targetGroup.key, identities: count(group.sourceDevices), members: group.sourceDevices.map(({ targetDevice }) => targetDevice.key).sort() })
  }
  for (const group of devices.targetGroups ?? []) {
    if (group.name !== name) continue
    uniform([group.state, ...group.targetDevices.map(({ state }) => state)])
    const copies = group.snapshot?.targetDevices.map(({ snapshot }) => snapshot) ?? []
    const view = group.id !== undefined ? 'promoted' : group.snapshot === undefined ? 'target' : 'tested'
    all.push({ view, ...(group.id === undefined ? {} : { id: group.id }), key: group.key, identities: view === 'tested' ? count(copies) : count(group.targetDevices), members: group.targetDevices.map(({ key }) => key).sort() })
  }
  for (const device of devices.sourceDevices ?? []) {
    if (!device.name?.startsWith(name)) continue
    all.push({ view: device.state === 'read-write' ? 'source' : 'demoted', id: device.id, key: device.targetDevice.key, identities: count([device]), members: [device.targetDevice.key] })
  }
  for (const device of devices.targetDevices ?? []) {
    if (!device.name?.startsWith(name)) continue
    const view = device.id !== undefined ? 'promoted' : device.snapshot === undefined ? 'target' : 'tested'
    all.push({ view, ...(device.id === undefined ? {} : { id: device.id }), key: device.key, identities: count(view === 'tested' ? [device.snapshot ?? {}] : [device]), members: [device.key] })
  }
  assert.equal(all.length, 1, `${name} is shown once, not ${all.length} times`)
  return all[0] as Seen
}

export interface Play {
  readonly world: PlayWorld
  readonly at: Readonly<Record<SiteName, Srm>>
}

export const pairAt = ({ world }: Play, site: SiteName) => ({ arrayId: world.arrayIds[site], peerArrayId: world.arrayIds[otherSite(site)] })

export const see = async (play: Play, site: SiteName, unit: string): Promise<Seen> => seenIn((await play.at[site].ask('discoverDevices', pairAt(play, site))).replicatedDevices, unit)

/** Both sites' views, and that they are one unit: the same key, the same members. */
export const views = async (play: Play, unit: string): Promise<string> => {
  const [a, b] = [await see(play, 'a', unit), await see(play, 'b', unit)]
  assert.equal(a.key, b.key, 'both sites show the same key')
  assert.deepEqual(a.members, b.members, 'both sites show the same devices')
  return `${a.view} ${b.view}`
}

const kindOf = ({ world }: Play, unit: string): 'group' | 'device' => world.units.find(({ name }) => name === unit)?.kind ?? 'group'
const split = <T>(play: Play, units: readonly string[], show: (unit: string) => T): { readonly group: readonly T[]; readonly device: readonly T[] } =>
  ({ group: units.filter((unit) => kindOf(play, unit) === 'group').map(show), device: units.filter((unit) => kindOf(play, unit) === 'device').map(show) })
const some = <K extends string, T>(name: K, list: readonly T[]): Partial<Record<K, readonly T[]>> => (list.length === 0 ? {} : { [name]: list } as Record<K, readonly T[]>)

/** Success or the text of the error, by unit, of an answer with any of its lists. */
export type Outcomes = ReadonlyMap<string, 'done' | 'warned' | { readonly error: string }>

interface Answer { readonly id?: string | undefined; readonly key?: string | undefined; readonly error?: unknown; readonly warnings?: readonly unknown[] | undefined }
const outcomesOf = (names: ReadonlyMap<string, string>, ...lists: readonly (readonly Answer[] | undefined)[]): Outcomes => {
  const answers = lists.flatMap((list) => list ?? [])
  const found = new Map(answers.map((one) => {
    const unit = names.get(one.key ?? '') ?? names.get(one.id ?? '') ?? '?'
    return [unit, one.error !== undefined ? { error: JSON.stringify(one.error) } : one.warnings === undefined ? 'done' as const : 'warned' as const]
  }))
  assert.equal(answers.length, names.size, 'every item of the request is answered once')
  for (const unit of names.values()) assert.ok(found.has(unit), `${unit} is answered`)
  return found
}

/** All succeeded, or an error that says which did not. */
export const allDone = (outcomes: Outcomes): Outcomes => {
  for (const [unit, outcome] of outcomes) if (typeof outcome === 'object') assert.fail(`${unit}: ${outcome.error}`)
  return outcomes
}

const keysAt = async (play: Play, site: SiteName, units: readonly string[]): Promise<ReadonlyMap<string, Seen>> => new Map(await Promise.all(units.map(async (unit) => [unit, await see(play, site, unit)] as const)))
const namesBy = (seen: ReadonlyMap<string, Seen>, by: 'id' | 'key'): ReadonlyMap<string, string> => new Map([...seen].map(([unit, one]) => [one[by] ?? '', unit]))
const must = (seen: ReadonlyMap<string, Seen>, unit: string, by: 'id' | 'key'): string => seen.get(unit)?.[by] ?? assert.fail(`${unit} shows no ${by}`)

/** SRM names all hosts of the site, of every protocol. */
const accessTo = ({ world }: Play, site: SiteName) => [{ id: 'cluster', initiator: [world.hosts[site], { id: '192.0.2.7', type: 'NFS' as const }, { id: 'host-17', type: 'Host' as const }] }]
const granted = [{ id: 'cluster' }]

const withAccess = async (play: Play, site: SiteName, units: readonly string[], seen: ReadonlyMap<string, Seen>) => {
  const { group, device } = split(play, units, (unit) => unit)
  return {
    arrayId: play.world.arrayIds[site], accessGroups: accessTo(play, site),
    ...some('targetGroups', group.map((unit) => ({ key: must(seen, unit, 'key'), targetDevices: (seen.get(unit)?.members ?? []).map((key) => ({ key, accessGroups: granted })) }))),
    ...some('targetDevices', device.map((unit) => ({ key: must(seen, unit, 'key'), accessGroups: granted }))),
  }
}

export const startTest = async (play: Play, site: SiteName, units: readonly string[]): Promise<Outcomes> => {
  const seen = await keysAt(play, site, units)
  const { testFailoverStartResults: { targetGroups, targetDevices } } = await play.at[site].ask('testFailoverStart', await withAccess(play, site, units, seen))
  return outcomesOf(namesBy(seen, 'key'), targetGroups, targetDevices)
}

/** Keys may be given, of a time before the direction was reversed. */
export const stopTest = async (play: Play, site: SiteName, units: readonly string[]): Promise<Outcomes> => {
  const seen = await keysAt(play, site, units)
  const { group, device } = split(play, units, (unit) => ({ key: must(seen, unit, 'key') }))
  const { testFailoverStopResults: { targetGroups, targetDevices } } = await play.at[site].ask('testFailoverStop', { arrayId: play.world.arrayIds[site], ...some('targetGroups', group), ...some('targetDevices', device) })
  return outcomesOf(namesBy(seen, 'key'), targetGroups, targetDevices)
}

export const check = async (play: Play, site: SiteName, units: readonly string[], command: 'checkFailover' | 'checkTestFailoverStart'): Promise<Outcomes> => {
  const seen = await keysAt(play, site, units)
  const { group, device } = split(play, units, (unit) => ({ key: must(seen, unit, 'key') }))
  const response = await play.at[site].ask(command, { arrayId: play.world.arrayIds[site], ...some('targetGroups', group), ...some('targetDevices', device) })
  const results = 'checkFailoverResults' in response ? response.checkFailoverResults : response.checkTestFailoverStartResults
  return outcomesOf(namesBy(seen, 'key'), results.targetGroups, results.targetDevices)
}

/** `ids`: as the site showed them while it was the source. */
export const prepareFailover = async (play: Play, site: SiteName, ids: ReadonlyMap<string, string>): Promise<Outcomes> => {
  const { group, device } = split(play, [...ids.keys()], (unit) => ({ id: ids.get(unit) ?? '' }))
  const { prepareFailoverResults: { consistencyGroups, sourceDevices } } = await play.at[site].ask('prepareFailover', { arrayId: play.world.arrayIds[site], ...some('consistencyGroups', group), ...some('sourceDevices', device) })
  return outcomesOf(new Map([...ids].map(([unit, id]) => [id, unit])), consistencyGroups, sourceDevices)
}

export const sourceIds = async (play: Play, site: SiteName, units: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  const seen = await keysAt(play, site, units)
  return new Map(units.map((unit) => [unit, must(seen, unit, 'id')]))
}

/** Starts one and waits for its end, as SRM does: at the site the adapter names. */
export const sync = async (play: Play, source: SiteName, units: readonly string[]): Promise<void> => {
  const atTarget = play.world.driver.replication?.sites.sync === 'target'
  const site = atTarget ? otherSite(source) : source
  const seen = await keysAt(play, site, units)
  const by = atTarget ? 'key' : 'id'
  const lists = (show: (unit: string) => object) => {
    const { group, device } = split(play, units, show)
    return { ...pairAt(play, site), ...some(atTarget ? 'targetGroups' : 'consistencyGroups', group), ...some(atTarget ? 'targetDevices' : 'sourceDevices', device) } as never
  }
  const sessions = new Map<string, string>()
  const take = (results: AnswerOf<'syncOnce'>['syncOnceResults']): boolean => {
    const items = [...results.consistencyGroups ?? [], ...results.sourceDevices ?? [], ...results.targetGroups ?? [], ...results.targetDevices ?? []]
    assert.equal(items.length, units.length, 'every item is answered')
    return items.map((item) => {
      if ('error' in item) return assert.fail(JSON.stringify(item.error))
      sessions.set('id' in item ? item.id : item.key, item.deviceSync.id)
      return item.deviceSync.status === 'complete'
    }).every((complete) => complete)
  }
  let complete = take((await play.at[site].ask('syncOnce', lists((unit) => ({ [by]: must(seen, unit, by) })))).syncOnceResults)
  for (let polls = 0; !complete; polls += 1) {
    assert.ok(polls < 1000, 'a synchronisation ends')
    complete = take((await play.at[site].ask('querySyncStatus', lists((unit) => ({ [by]: must(seen, unit, by), syncId: sessions.get(must(seen, unit, by)) ?? '' })))).querySyncStatusResults)
  }
}

/** The ids that the response gives, and what became of each unit. */
export interface FailedOver {
  readonly outcomes: Outcomes
  readonly ids: ReadonlyMap<string, string>
  readonly response: AnswerOf<'failover'>['failoverResults']
}

export const failover = async (play: Play, site: SiteName, units: readonly string[], seen?: ReadonlyMap<string, Seen>): Promise<FailedOver> => {
  const shown = seen ?? await keysAt(play, site, units)
  const { failoverResults } = await play.at[site].ask('failover', await withAccess(play, site, units, shown))
  const names = namesBy(shown, 'key')
  const items = [...failoverResults.targetGroups ?? [], ...failoverResults.targetDevices ?? []]
  const ids = new Map(items.flatMap((item) => ('error' in item ? [] : [[names.get(item.key) ?? '?', item.id] as const])))
  return { outcomes: outcomesOf(names, failoverResults.targetGroups, failoverResults.targetDevices), ids, response: failoverResults }
}

type Direction = 'reverseReplication' | 'prepareReverseReplication' | 'restoreReplication' | 'prepareRestoreReplication'

export const direct = async (play: Play, site: SiteName, command: Direction, ids: ReadonlyMap<string, string>): Promise<Outcomes> => {
  const { group, device } = split(play, [...ids.keys()], (unit) => ({ id: ids.get(unit) ?? '' }))
  const response = await play.at[site].ask(command, { ...pairAt(play, site), ...some('consistencyGroups', group), ...some('devices', device) })
  const [results] = Object.values(response) as readonly { readonly consistencyGroups?: readonly Answer[]; readonly devices?: readonly Answer[] }[]
  return outcomesOf(new Map([...ids].map(([unit, id]) => [id, unit])), results?.consistencyGroups, results?.devices)
}

/** Ids of both sites of units that were failed over: where the old source is, and what failover returned. */
export interface Moved {
  readonly from: SiteName
  readonly old: ReadonlyMap<string, string>
  readonly promoted: ReadonlyMap<string, string>
}

/** Reprotect, or restore: the preparation first, at the opposite site of the main part. `only` leaves one of the two out. */
export const turn = async (play: Play, { from, old, promoted }: Moved, operation: 'reverse' | 'restore', only: 'both' | 'prepare' | 'main' = 'both'): Promise<readonly Outcomes[]> => {
  const at = { source: { site: from, ids: old }, target: { site: otherSite(from), ids: promoted } }
  const main = play.world.driver.replication?.sites[operation] ?? 'source'
  const other = main === 'source' ? 'target' : 'source'
  const names = operation === 'reverse' ? ['prepareReverseReplication', 'reverseReplication'] as const : ['prepareRestoreReplication', 'restoreReplication'] as const
  return [
    ...(only === 'main' || !(play.world.driver.replication?.prepares[operation] ?? false) ? [] : [await direct(play, at[other].site, names[0], at[other].ids)]),
    ...(only === 'prepare' ? [] : [await direct(play, at[main].site, names[1], at[main].ids)]),
  ]
}

/** Planned migration, up to the failover. */
export const migrate = async (play: Play, from: SiteName, units: readonly string[]): Promise<Moved> => {
  await sync(play, from, units)
  const old = await sourceIds(play, from, units)
  allDone(await prepareFailover(play, from, old))
  await sync(play, from, units)
  const { outcomes, ids } = await failover(play, otherSite(from), units)
  allDone(outcomes)
  return { from, old, promoted: ids }
}

/** Reprotect: the other direction, everything synchronised. */
export const reprotect = async (play: Play, moved: Moved): Promise<void> => {
  for (const outcomes of await turn(play, moved, 'reverse')) allDone(outcomes)
  await sync(play, otherSite(moved.from), [...moved.old.keys()])
}

export const restore = async (play: Play, moved: Moved): Promise<void> => {
  for (const outcomes of await turn(play, moved, 'restore')) allDone(outcomes)
  await sync(play, moved.from, [...moved.old.keys()])
}
