/**
 * What users were told, and what may have happened: the acknowledged state of every VDI, and of each call under way the two
 * states it may leave. After a kill nothing else may be seen.
 */
import { MiB } from '../../../core/units.ts'
import { slotsOf, untouched, whole } from './slots.ts'

export interface Disk {
  readonly kind: 'disk' | 'snapshot'
  readonly size: number
  readonly name: string
  readonly owner: string | undefined
  /** Slot -> the stamps of its sectors. */
  readonly data: Readonly<Record<number, readonly number[]>>
}

/** A call under way. It changes one VDI, if it does anything; `uses` keeps others off those it needs. */
export interface Change {
  readonly says: string
  readonly call: string
  readonly params: Readonly<Record<string, unknown>>
  readonly uses: readonly string[]
  readonly vdi?: string
  readonly before?: Disk | undefined
  readonly after?: Disk | undefined
  /** A write that was not acknowledged may have reached some of its sectors. */
  readonly write?: { readonly offset: number; readonly stamp: number }
}

const sectorsAt = (disk: Disk, offset: number): readonly number[] => disk.data[offset] ?? untouched

const sameBut = (a: Disk, b: Disk): boolean => a.kind === b.kind && a.size === b.size && a.name === b.name && a.owner === b.owner

const same = (a: Disk | undefined, b: Disk | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameBut(a, b) && slotsOf(a.size).every((offset) => sectorsAt(a, offset).join() === sectorsAt(b, offset).join())

const between = (seen: Disk, before: Disk, after: Disk): boolean =>
  sameBut(seen, before) && slotsOf(seen.size).every((offset) =>
    sectorsAt(seen, offset).every((stamp, index) => stamp === sectorsAt(before, offset)[index] || stamp === sectorsAt(after, offset)[index]))

/** Takes what is seen after a kill for the truth; answers what must not be. */
export const judge = (known: Map<string, Disk>, pending: readonly Change[], seen: ReadonlyMap<string, Disk>): readonly string[] => {
  const wrong: string[] = []
  for (const vdi of new Set([...known.keys(), ...seen.keys(), ...pending.flatMap((change) => change.vdi ?? [])])) {
    const [before, now] = [known.get(vdi), seen.get(vdi)]
    const changes = pending.filter((change) => change.vdi === vdi)
    const allowed = same(now, before) || changes.some((change) => same(now, change.after)
      || (change.write !== undefined && now !== undefined && before !== undefined && change.after !== undefined && between(now, before, change.after)))
    if (!allowed) wrong.push(`VDI ${vdi}: seen ${JSON.stringify(now)}, known ${JSON.stringify(before)}, under way: ${changes.map(({ says, after }) => `${says} -> ${JSON.stringify(after)}`).join('; ') || 'nothing'}`)
    if (now === undefined) known.delete(vdi)
    else known.set(vdi, now)
  }
  return wrong
}

export const acknowledge = (known: Map<string, Disk>, { vdi, after }: Change): void => {
  if (vdi === undefined) return
  if (after === undefined) known.delete(vdi)
  else known.set(vdi, after)
}

const within = (data: Disk['data'], size: number): Disk['data'] => Object.fromEntries(Object.entries(data).filter(([offset]) => slotsOf(size).includes(Number(offset))))

export type Kind = 'create' | 'delete' | 'snapshot' | 'clone' | 'resize' | 'revert' | 'write' | 'lock' | 'unlock' | 'name' | 'collect'

/** The next change by lot among those that are legal now; undefined when there is none. `origin`: snapshot -> its VDI. */
export const drawChange = (lot: () => number, kinds: readonly Kind[], known: ReadonlyMap<string, Disk>, origin: Map<string, string>, busy: ReadonlySet<string>, sr_uuid: string, turn: number): Change | undefined => {
  const pick = <T>(among: readonly T[]): T | undefined => among[Math.floor(lot() * among.length)]
  const free = [...known].filter(([vdi]) => !busy.has(vdi))
  const disks = free.filter(([, disk]) => disk.kind === 'disk' && disk.owner === undefined)
  const kind = known.size < 3 && kinds.includes('create') ? 'create' : pick(kinds.filter((one) => known.size < 9 || !['create', 'snapshot', 'clone'].includes(one)))
  const fresh = crypto.randomUUID()
  const [vdi, disk] = pick(kind === 'unlock' ? free.filter(([, one]) => one.owner !== undefined)
    : kind === 'delete' || kind === 'clone' ? free.filter(([, one]) => one.owner === undefined)
    : disks) ?? []
  const one = { sr_uuid, vdi_uuid: vdi }
  if (kind === 'create') {
    return { says: kind, call: 'VDI.create', params: { sr_uuid, vdi_uuid: fresh, size: 4 * MiB }, uses: [fresh], vdi: fresh, after: { kind: 'disk', size: 4 * MiB, name: '', owner: undefined, data: {} } }
  }
  if (kind === 'collect') return { says: kind, call: 'SR.collect', params: { sr_uuid }, uses: [] }
  if (vdi === undefined || disk === undefined) return undefined
  const changing = (call: string, params: Readonly<Record<string, unknown>>, after: Disk | undefined): Change => ({ says: kind ?? '', call, params: { ...one, ...params }, uses: [vdi], vdi, before: disk, after })
  if (kind === 'delete') return changing('VDI.delete', {}, undefined)
  if (kind === 'snapshot' || kind === 'clone') {
    if (kind === 'snapshot') origin.set(fresh, vdi)
    return { says: kind, call: `VDI.${kind}`, params: { ...one, dest_uuid: fresh }, uses: [vdi, fresh], vdi: fresh, after: { ...disk, kind: kind === 'snapshot' ? 'snapshot' : 'disk' } }
  }
  if (kind === 'resize') return disk.size >= 12 * MiB ? undefined : changing('VDI.resize', { size: disk.size + 2 * MiB }, { ...disk, size: disk.size + 2 * MiB })
  if (kind === 'name') return changing('VDI.set_names', { name: `name ${turn}` }, { ...disk, name: `name ${turn}` })
  if (kind === 'lock') return changing('VDI.lock', { owner: `vm${turn}`, force: false }, { ...disk, owner: `vm${turn}` })
  if (kind === 'unlock') return changing('VDI.unlock', { owner: disk.owner }, { ...disk, owner: undefined })
  if (kind === 'write') {
    const offset = pick(slotsOf(disk.size)) ?? 0
    return { ...changing('write', {}, { ...disk, data: { ...disk.data, [offset]: whole(turn) } }), write: { offset, stamp: turn } }
  }
  const [snapshot, of] = pick(free.filter(([candidate]) => origin.get(candidate) === vdi)) ?? []
  if (snapshot === undefined || of === undefined) return undefined
  return { ...changing('VDI.revert', { snapshot_uuid: snapshot }, { ...disk, size: of.size, data: within(of.data, of.size) }), uses: [vdi, snapshot] }
}
