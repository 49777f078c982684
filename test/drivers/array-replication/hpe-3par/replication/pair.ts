/** A replicated pair of simulated arrays for tests: set up, looked at from both sides, written to as a host does. */
import type { OpenArray } from '../../../../../core/array/contract.ts'
import type { ArrayReplication, ReplicationUnit } from '../../../../../core/array/replication.ts'
import { MiB } from '../../../../../core/units.ts'
import { startPair, type Pair, type PairOptions } from '../on-simulator.ts'

export const replicationOf = (array: OpenArray): ArrayReplication => {
  if (array.replication === undefined) throw new Error('no replication')
  return array.replication
}

export interface World extends Pair {
  readonly p: ArrayReplication
  readonly s: ArrayReplication
  readonly there: string
  readonly unitP: () => Promise<ReplicationUnit>
  readonly unitS: () => Promise<ReplicationUnit>
}

const need = async (replication: ArrayReplication, world: Pair, id: string): Promise<ReplicationUnit> => {
  const unit = await replication.unit(world.ctx, id)
  if (unit === undefined) throw new Error(`no unit ${id}`)
  return unit
}

export const until = async <T>(look: () => Promise<T>, good: (seen: T) => boolean): Promise<T> => {
  const deadline = Date.now() + 30_000
  for (;;) {
    const seen = await look()
    if (good(seen)) return seen
    if (Date.now() > deadline) throw new Error(`never came: ${JSON.stringify(seen)}`)
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
}

/** A pair with a group of two volumes, in sync. */
export const replicated = async (onStart: (pair: Pair) => void, options: PairOptions = {}): Promise<World> => {
  const started = await startPair(options)
  onStart(started)
  const [p, s] = [replicationOf(started.near), replicationOf(started.far)]
  for (const name of ['v1', 'v2']) await started.near.create(started.ctx, { name, size: 256 * MiB, provisioning: 'thin' })
  const mode = ({ synchronous: 'synchronous', asynchronous: 'periodic', streaming: 'asynchronous' } as const)[options.mode ?? 'asynchronous']
  await p.create?.(started.ctx, { name: 'g', kind: 'group', peer: started.sims[1].name, mode, volumes: ['v1', 'v2'] })
  const there = `g.r${started.sims[0].id}`
  const world: World = { ...started, p, s, there, unitP: async () => need(p, started, 'g'), unitS: async () => need(s, started, there) }
  await until(world.unitP, (unit) => unit.members.every(({ sync }) => sync === 'synced') && unit.lastConsistent.kind === 'time')
  return world
}

export const roles = async (world: World): Promise<readonly string[]> => {
  const [p, s] = [await world.unitP(), await world.unitS()]
  return [p.role, s.role]
}

export const initiators = { '': [{ kind: 'iscsi', id: 'iqn.2020-01.example:dr' }] } as const

/** As a host writes: the volume is presented to it first. */
export const write = async (world: World, at: 0 | 1, volume: string, text: string): Promise<void> => {
  const [replication, unit] = at === 0 ? [world.p, 'g'] : [world.s, world.there]
  const member = (await replication.present(world.ctx, unit, initiators)).find(({ name }) => name === volume)
  if (member?.identity?.kind !== 'wwn') throw new Error(`no identity of ${volume}`)
  await world.sims[at].write({ host: initiators[''][0].id, wwn: member.identity.wwid.replace(/^naa\./, '') }, 0, Buffer.from(text.padEnd(512, ' ')))
}
export const read = (world: World, at: 0 | 1, volume: string): string => world.sims[at].inspect(volume, 0, 512).toString('utf8').replaceAll('\0', '').trim()
