/** What the four roles, the states and the driver's own marks come to, as a table. */
import { describe, expect, it } from 'vitest'
import { own } from '../../../../../drivers/array-replication/hpe-3par/replication/marks.ts'
import { consistentAt, lastSyncSec, madeBy, modeOf, naturalRole, oldest, roleOf, transferOf } from '../../../../../drivers/array-replication/hpe-3par/replication/roles.ts'
import { RcGroup } from '../../../../../drivers/array-replication/hpe-3par/wsapi/schemas.ts'

const group = (role: number, roleReversed: boolean, state: number, mode = 3): RcGroup => RcGroup.parse({ name: 'g', role, targets: [{ targetName: 't', roleReversed, state, mode }], volumes: [] })
const [promoted, source, demoted] = [{ [own.promoted]: 'yes' }, { [own.source]: 'yes' }, { [own.demoted]: '1000' }]

describe('a role', () => {
  it.each([
    ['a started natural primary', 1, false, 3, {}, 'source'],
    ['a paused natural primary', 1, false, 5, {}, 'source'],
    ['a natural primary that was demoted', 1, false, 3, demoted, 'demoted'],
    ['the same after the other side took over', 1, false, 5, demoted, 'demoted'],
    ['a natural primary in fail-safe', 1, false, 7, {}, 'source'],
    ['a natural secondary', 2, false, 3, {}, 'target'],
    ['a stopped natural secondary, whatever the marks of a promotion that did not come to it', 2, false, 5, promoted, 'target'],
    ['a secondary after a failover', 1, true, 5, promoted, 'promoted'],
    ['the same, done by an operator at the array', 1, true, 5, {}, 'promoted'],
    ['a reversed primary that replicates', 1, true, 3, source, 'source'],
    ['the same, by an operator', 1, true, 3, {}, 'source'],
    ['a reversed primary that was paused after it replicated', 1, true, 5, source, 'source'],
    ['a reversed primary that was demoted', 1, true, 5, { ...source, ...demoted }, 'demoted'],
    ['the natural primary while it is overwritten', 2, true, 3, demoted, 'target'],
    ['the natural primary that was failed back to', 1, false, 5, promoted, 'promoted'],
    ['a role that nobody knows', 9, false, 3, {}, 'unknown'],
  ])('of %s', (_, role, reversed, state, marks, expected) => {
    expect(roleOf(group(role, reversed, state), marks)).toBe(expected)
  })

  it.each([[1, false, 'source'], [2, false, 'target'], [1, true, 'target'], [2, true, 'source']])('%i reversed %s is naturally %s', (role, reversed, natural) => {
    expect(naturalRole(group(role, reversed, 3), {})).toBe(natural)
    expect(naturalRole(group(role, reversed, 3), { [own.adopted]: 'reversed' })).not.toBe(natural)
  })
})

describe('a transfer', () => {
  const time = { kind: 'time', ms: 1 } as const
  it.each([
    ['runs', 3, 'source', time, {}, false, 'running'],
    ['is the first copy while a member never had one', 3, 'source', { kind: 'never' } as const, {}, false, 'initial'],
    ['is paused when that was asked for', 5, 'source', time, {}, true, 'paused'],
    ['is interrupted when it stopped by itself', 5, 'source', time, {}, false, 'interrupted'],
    ['is interrupted in fail-safe', 7, 'source', time, {}, false, 'interrupted'],
    ['is stopped by a promotion here', 5, 'promoted', time, {}, false, 'stopped'],
    ['is stopped by a promotion there', 5, 'demoted', time, { role: 'promoted' as const }, false, 'stopped'],
  ] as const)('%s', (_, state, role, last, peer, asked, expected) => {
    expect(transferOf(group(1, false, state), role, last, { reachable: true, ...peer }, asked)).toBe(expected)
  })
})

describe('the last complete copy', () => {
  it('of a group is that of its oldest member, and none when a member has none', () => {
    expect(oldest([{ kind: 'time', ms: 5 }, { kind: 'time', ms: 3 }])).toEqual({ kind: 'time', ms: 3 })
    expect(oldest([{ kind: 'time', ms: 5 }, { kind: 'never' }, { kind: 'unknown' }])).toEqual({ kind: 'never' })
    expect(oldest([{ kind: 'time', ms: 5 }, { kind: 'unknown' }])).toEqual({ kind: 'unknown' })
    expect(oldest([])).toEqual({ kind: 'unknown' })
  })
  it('is read in either of its spellings', () => {
    const volume = (more: object) => RcGroup.parse({ name: 'g', role: 1, volumes: [{ localVolumeName: 'v', remoteVolumes: [{ targetName: 't', syncStatus: 3, ...more }] }] }).volumes[0]
    const seconds = (more: object): number | undefined => { const one = volume(more); return one === undefined ? undefined : lastSyncSec(one) }
    expect(seconds({ volumeLastSyncTimeSec: 7 })).toBe(7)
    expect(seconds({ volumeLastSyncTime: '1970-01-01T00:00:07Z' })).toBe(7)
    expect(seconds({ volumeLastSyncTime: 'NA' })).toBeUndefined()
    expect(consistentAt(undefined, 'syncing')).toEqual({ kind: 'never' })
    expect(consistentAt(undefined, 'unknown')).toEqual({ kind: 'unknown' })
  })
})

it.each([[1, 'synchronous'], [2, 'periodic'], [3, 'periodic'], [4, 'asynchronous']])('mode %i is %s', (mode, expected) => {
  expect(modeOf(group(1, false, 3, mode))).toBe(expected)
})
it('names the array that made a group', () => {
  expect([madeBy('g'), madeBy('g.r100001'), madeBy('a.rx')]).toEqual([{ name: 'g', creator: undefined }, { name: 'g', creator: 100_001 }, { name: 'a.rx', creator: undefined }])
})
