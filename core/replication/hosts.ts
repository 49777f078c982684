/**
 * Who could reach a source when it was taken from all hosts: written on the array at its demotion, so that whoever gives it its role back,
 * perhaps weeks later and in another process, can present it to the same hosts again.
 */
import type { ReplicationUnit } from '../array/replication.ts'
import { StorageError } from '../errors.ts'
import type { Step } from './run.ts'
import { layer, type ReplicationSite, type SideHandle } from './site.ts'
import { markKeys } from './marks.ts'
import { markStep } from './steps.ts'

/** Access groups, and the volumes that are presented to just these; no volumes: all of the unit. */
type Hosts = readonly (readonly [groups: readonly string[], volumes: readonly string[]])[]

/** Characters; a mark has 240 bytes, and some arrays need a part of these themselves. */
const chunkLength = 50
const maxChunks = 100

const chunksOf = (hosts: Hosts): readonly string[] => JSON.stringify(hosts).match(new RegExp(`.{1,${chunkLength}}`, 'gsu')) ?? []
const keyOf = (index: number): string => `${markKeys.hosts}.${index}`

/** Undefined when nothing was written, or not all of it. */
const readHosts = (marks: ReplicationUnit['marks']): Hosts | undefined => {
  const count = Number(marks[markKeys.hosts] ?? '0')
  if (!Number.isSafeInteger(count) || count < 1 || count > maxChunks) return undefined
  try {
    return JSON.parse(Array.from({ length: count }, (_, index) => marks[keyOf(index)] ?? '\n').join('')) as Hosts
  } catch {
    return undefined
  }
}

const hostsNow = async (site: ReplicationSite, { replication }: SideHandle, unit: ReplicationUnit): Promise<Hosts> => {
  const byGroups = new Map<string, string[]>()
  const presentations = await replication.presentations(site.ctx, unit.id)
  for (const { volume } of unit.members) {
    const groups = [...new Set(presentations.filter((one) => one.volume === volume).map(({ group }) => group))].sort()
    if (groups.length > 0) byGroups.set(JSON.stringify(groups), [...(byGroups.get(JSON.stringify(groups)) ?? []), volume])
  }
  return [...byGroups].map(([groups, volumes]) => [JSON.parse(groups) as string[], volumes.length === unit.members.length ? [] : volumes])
}

/** 1 each chunk, 2 their number: without it nothing counts as written. Repeat: what is there stays, as by then nothing may be presented any more. */
export const rememberHostsStep = (site: ReplicationSite, at: SideHandle): Step => ({
  name: 'remember hosts', at,
  done: async (unit, replication) => unit.marks[markKeys.hosts] !== undefined || (await replication.presentations(site.ctx, unit.id)).length === 0,
  async act(replication, unit) {
    const chunks = chunksOf(await hostsNow(site, at, unit))
    if (chunks.length > maxChunks) throw new StorageError('limitExceeded', `${unit.name} is presented to more hosts than can be recorded on the array`, { layer, remedy: 'Present it to fewer access groups' })
    for (const [index, chunk] of chunks.entries()) await replication.setMark(site.ctx, unit.id, keyOf(index), chunk)
    await replication.setMark(site.ctx, unit.id, markKeys.hosts, String(chunks.length))
  },
})

/** The number first: half of them count as none. */
export const forgetHostsSteps = (site: ReplicationSite, at: SideHandle): readonly Step[] =>
  [markKeys.hosts, ...Object.keys(at.unit.marks).filter((key) => key.startsWith(`${markKeys.hosts}.`))].map((key) => markStep(site, at, key, undefined))

/** Presents to the hosts of the time before the demotion, then forgets them. Access groups that are gone are told and left out. */
export const presentAgainSteps = async (site: ReplicationSite, at: SideHandle, warn: (sentence: string) => void): Promise<readonly Step[]> => {
  const access = (at.replication === site.local.replication ? site.local : site.remote)?.access
  const hosts = readHosts(at.unit.marks)
  if (hosts === undefined) return []
  if (access === undefined) {
    warn(`${at.unit.name} is presented to no host: present it at its array`)
    return forgetHostsSteps(site, at)
  }
  const there = new Set((await access.groups(site.ctx)).map(({ name }) => name))
  const gone = new Set(hosts.flatMap(([groups]) => groups.filter((group) => !there.has(group))))
  if (gone.size > 0) warn(`${at.unit.name} is not presented to ${[...gone].join(', ')}: there is no such access group any more`)
  const wanted = at.unit.members.map(({ volume }) => ({ volume, groups: hosts.filter(([, volumes]) => volumes.length === 0 || volumes.includes(volume)).flatMap(([groups]) => groups.filter((group) => there.has(group))) }))
    .filter(({ groups }) => groups.length > 0)
  const missing = async (unit: ReplicationUnit): Promise<typeof wanted> => {
    const now = await at.replication.presentations(site.ctx, unit.id)
    return wanted.filter(({ volume, groups }) => !groups.every((group) => now.some((one) => one.volume === volume && one.group === group)))
  }
  return [
    {
      name: 'present again', at,
      done: async (unit) => (await missing(unit)).length === 0,
      act: async (_replication, unit) => {
        for (const { volume, groups } of await missing(unit)) await access.present(site.ctx, volume, groups)
      },
    },
    ...forgetHostsSteps(site, at),
  ]
}
