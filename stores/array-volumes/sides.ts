/**
 * The arrays of an SR: the one that was named, and the peer that a replicated SR may have been failed over to. What is true of an SR is
 * read and written at the active side: the one whose volumes can be written. It is asked for anew at every call, never remembered.
 */
import type { NamedArray } from '../../core/array/ports.ts'
import type { ReplicationUnit, UnitRole } from '../../core/array/replication.ts'
import type { CallCtx, Ctx } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import type { ReplicationSite } from '../../core/replication/site.ts'
import { layer } from './notes.ts'

export interface Pool {
  /** Name of the configured array, and of its peer. */
  readonly backend: string
  readonly peer: string | undefined
  readonly cpg: string
  /** Replication unit that every disk is put into; absent: not replicated. */
  readonly group: string | undefined
}

export interface Side extends NamedArray {
  readonly name: string
  /** The unit of the SR at this array; absent until its first disk is made. */
  readonly unit: ReplicationUnit | undefined
}

export interface Sides {
  readonly active: Side
  /** The other array of a replicated SR, when it answers. */
  readonly other: Side | undefined
  /** Why it does not. */
  readonly silent: StorageError | undefined
}

export interface ArrayPair {
  readonly pool: Pool
  /** The active side, or wrongRole with both sides' roles and what to do. */
  sides(ctx: Ctx): Promise<Sides>
  /** Those that answer, whatever their roles. */
  reachable(ctx: Ctx): Promise<readonly Side[]>
  close(): Promise<void>
}

/** The caller's mistake, and no array that is down. */
const mistakes: readonly string[] = ['notFound', 'invalidArgument', 'unauthenticated', 'notLicensed', 'permissionDenied', 'notSupported']

const unitOf = async (ctx: CallCtx, { array }: NamedArray, group: string): Promise<ReplicationUnit | undefined> => {
  if (array.replication === undefined) throw new StorageError('notSupported', `Arrays of type ${array.type} do not replicate`, { layer, field: 'device_config.group', remedy: 'Leave group and peer out' })
  return (await array.replication.units(ctx)).find(({ name }) => name === group)
}

const writable: readonly UnitRole[] = ['source', 'promoted']

const tell = ({ name, unit }: Side): string => `${name} is ${unit?.role ?? 'without it'}`

const wrongRole = (group: string, says: string, remedy: string): StorageError =>
  new StorageError('wrongRole', `Group ${group}: ${says}`, { layer, field: 'device_config.group', remedy, details: { group } })

/** A promoted side counts before a source: the source is then the old one, whether or not it knows. */
const choose = (pool: Pool & { readonly group: string }, near: Side | undefined, far: Side | undefined, silent: StorageError | undefined): Sides => {
  const seen = [near, far].filter((side) => side !== undefined)
  const [first] = seen
  if (first === undefined) throw silent ?? new StorageError('unreachable', `Neither ${pool.backend} nor ${pool.peer ?? 'its peer'} answers`, { layer, remedy: 'See to the arrays and the network' })
  const withUnit = seen.filter(({ unit }) => unit !== undefined)
  const status = `smctl replication status ${pool.backend} ${pool.group}${pool.peer === undefined ? '' : ` --peer ${pool.peer}`}`
  if (withUnit.length === 0) {
    if (near === undefined) throw silent ?? new StorageError('unreachable', `${pool.backend} does not answer, and group ${pool.group} is not on ${first.name}`, { layer, remedy: 'See to the array and the network' })
    return { active: near, other: far, silent }
  }
  if (withUnit.some(({ unit }) => unit?.splitBrain === true) || withUnit.filter(({ unit }) => unit?.role === 'promoted').length > 1 || withUnit.filter(({ unit }) => unit?.role === 'source').length > 1) {
    throw new StorageError('splitBrain', `Group ${pool.group}: both arrays claim to be written (${withUnit.map(tell).join(', ')})`, { layer, field: 'device_config.group', remedy: `Decide which side loses: ${status}` })
  }
  const active = withUnit.find(({ unit }) => unit?.role === 'promoted') ?? withUnit.find(({ unit }) => unit !== undefined && writable.includes(unit.role))
  const silence = silent === undefined ? '' : `; the other array does not answer (${silent.message})`
  // Its replication was ended here, and not yet there: what receives cannot be written.
  if (active === undefined && near !== undefined && near.unit === undefined && far?.unit?.role === 'target') return { active: near, other: far, silent }
  if (active === undefined) {
    throw wrongRole(pool.group, `no side that answers can be written: ${withUnit.map(tell).join(', ')}${silence}`, withUnit.some(({ unit }) => unit?.role === 'demoted')
      ? `Go on with the failover, or take it back: ${status}`
      : `When the source is lost, fail over: smctl replication failover ${first.name} --units ${first.unit?.id ?? pool.group} --kind unplanned; ${status}`)
  }
  if (active.unit?.role === 'source' && active.unit.peerView.role === 'promoted') {
    throw wrongRole(pool.group, `${active.name} is the old source, and the other array was promoted${silence}`, `Use the promoted side; then reverse or restore: ${status}`)
  }
  if (active.unit?.role === 'source' && active.unit.marks['sm.fenced'] !== undefined) {
    throw wrongRole(pool.group, `${active.name} was fenced for a failover${silence}`, `Finish the failover at the other array, or look at both: ${status}`)
  }
  return { active, other: seen.find((side) => side !== active), silent }
}

export const createPair = (pool: Pool): ArrayPair => {
  const opened = new Map<string, Promise<NamedArray>>()
  const open = async (ctx: Ctx, name: string): Promise<NamedArray> => {
    const known = opened.get(name)
    if (known !== undefined) return known
    const opening = ctx.arrays.open(ctx, name)
    opened.set(name, opening)
    opening.catch(() => opened.delete(name))
    return opening
  }

  const look = async (ctx: Ctx, name: string): Promise<Side | StorageError> => {
    try {
      const named = await open(ctx, name)
      return { ...named, name, unit: pool.group === undefined ? undefined : await unitOf(ctx, named, pool.group) }
    } catch (thrown) {
      ctx.signal.throwIfAborted()
      const error = toStorageError(thrown, layer)
      if (pool.peer === undefined || mistakes.includes(error.kind)) throw error
      return error
    }
  }

  const lookAtBoth = async (ctx: Ctx): Promise<readonly (Side | StorageError)[]> => Promise.all([pool.backend, ...(pool.peer === undefined ? [] : [pool.peer])].map(async (name) => look(ctx, name)))
  const sidesIn = (found: readonly (Side | StorageError)[]): readonly Side[] => found.filter((one): one is Side => !(one instanceof StorageError))

  return {
    pool,
    async sides(ctx) {
      const found = await lookAtBoth(ctx)
      const sides = sidesIn(found)
      const silent = found.find((one) => one instanceof StorageError)
      if (pool.group === undefined) {
        const [only] = sides
        if (only !== undefined) return { active: only, other: undefined, silent: undefined }
        throw silent ?? new StorageError('unreachable', `${pool.backend} does not answer`, { layer, remedy: 'See to the array and the network' })
      }
      return choose({ ...pool, group: pool.group }, sides.find(({ name }) => name === pool.backend), sides.find(({ name }) => name === pool.peer), silent)
    },
    reachable: async (ctx) => sidesIn(await lookAtBoth(ctx)),
    async close() {
      const all = [...opened.values()]
      opened.clear()
      await Promise.all(all.map(async (opening) => (await opening.catch(() => undefined))?.array.close()))
    },
  }
}

/** As the replication engine wants it. */
export const siteOf = (ctx: Ctx, { active, other }: Sides): ReplicationSite => {
  if (active.driver.replication === undefined) throw new StorageError('notSupported', `Arrays of type ${active.driver.type} do not replicate`, { layer, field: 'device_config.group', remedy: 'Leave group and peer out' })
  return { ctx, local: active.array, traits: active.driver.replication, ...(other === undefined ? {} : { remote: other.array }) }
}
