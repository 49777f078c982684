/** Points in time of a group and test copies of it: virtual copies of all members, taken at one moment. */
import type { RecoveryPoint, TestCopy } from '../../../../core/array/replication.ts'
import { copyPurposes } from '../../../../core/array/replication.ts'
import { parseWwid } from '../../../../core/array/wwid.ts'
import { digest, prefixes, readTag, writeTag } from '../tags.ts'
import type { RcGroup, Volume as Raw } from '../wsapi/schemas.ts'
import type { Marks } from './marks.ts'
import { madeBy } from './roles.ts'

/** In names of 31 characters: which group a copy belongs to. */
export const unitDigest = (group: string): string => digest(10, group)

export const pointStem = (group: string, name: string): string => `${prefixes.point}${unitDigest(group)}-${digest(8, name)}`
export const testStem = (group: string, id: string): string => `${prefixes.test}${unitDigest(group)}-${digest(8, id)}`

/** `point <name> <purpose> <members> <yes|no: known to be complete>` in the comment of each of its snapshots. */
export const pointTag = (name: string, purpose: string, members: number, complete: boolean): string => writeTag('point', name, purpose, String(members), complete ? 'yes' : 'no')

interface Copy {
  readonly stem: string
  readonly raws: readonly Raw[]
}

const byStem = (group: string, prefix: string, raws: readonly Raw[]): readonly Copy[] => {
  const stem = (name: string): string => name.slice(0, prefix.length + 10 + 1 + 8)
  const ours = raws.filter(({ name }) => name.startsWith(`${prefix}${unitDigest(group)}-`))
  return [...new Set(ours.map(({ name }) => stem(name)))].map((one) => ({ stem: one, raws: ours.filter(({ name }) => stem(name) === one) }))
}

const firstMs = (raws: readonly Raw[]): number => Math.min(...raws.map(({ creationTimeSec }) => creationTimeSec ?? 0)) * 1000

/** Those that have a snapshot of every member they were made of; halves are nobody's point. */
export const pointsOf = (group: RcGroup, raws: readonly Raw[]): readonly (RecoveryPoint & { readonly parts: readonly Raw[] })[] =>
  byStem(group.name, prefixes.point, raws).flatMap(({ stem, raws: parts }) => {
    const [kind, name, purpose, count, complete] = readTag(parts[0]?.comment) ?? []
    const known = copyPurposes.find((one) => one === purpose)
    if (kind !== 'point' || name === undefined || known === undefined || parts.length < Number(count)) return []
    return [{ id: stem, name, timeMs: firstMs(parts), consistency: complete === 'yes' ? 'crash' as const : 'unknown' as const, purpose: known, parts }]
  })

/** `test <id> <point> <its time> <members>` in the comment of each of its snapshots. */
export const testTag = (id: string, point: string, timeMs: number | undefined, members: number): string => writeTag('test', id, point, timeMs === undefined ? '' : String(timeMs), String(members))

/** Written last, when everything of a test copy is there and presented. */
export const testMark = (id: string): string => `.test-${digest(8, id)}`

export const keyOfMember = (group: RcGroup, volume: string): string => {
  const member = group.volumes.find(({ localVolumeName }) => localVolumeName === volume)
  return madeBy(group.name).creator === undefined ? volume : member?.remoteVolumes[0]?.remoteVolumeName ?? volume
}

export const testCopiesOf = (group: RcGroup, raws: readonly Raw[], marks: Marks): readonly TestCopy[] =>
  byStem(group.name, prefixes.test, raws).flatMap(({ raws: parts }) => {
    const [kind, id, point, time, count] = readTag(parts[0]?.comment) ?? []
    if (kind !== 'test' || id === undefined || point === undefined) return []
    return [{
      id, recoveryPoint: { id: point, timeMs: time === undefined || time === '' ? firstMs(parts) : Number(time) },
      complete: parts.length >= Number(count) && marks[testMark(id)] !== undefined,
      members: parts.flatMap((raw) => {
        const wwid = parseWwid(raw.wwn)
        // A copy of a kept point hangs below the point's snapshot: its own comment names the member.
        const member = memberNameOf(raw, raws)
        return member === undefined ? [] : [{ key: keyOfMember(group, member), copy: raw.name, ...(wwid === undefined ? {} : { identity: { kind: 'wwn' as const, wwid } }) }]
      }),
    }]
  })

const memberNameOf = (raw: Raw, raws: readonly Raw[]): string | undefined => {
  const parent = raws.find(({ name }) => name === raw.copyOf)
  return parent !== undefined && parent.name.startsWith(prefixes.point) ? parent.copyOf : raw.copyOf
}
