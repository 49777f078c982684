/**
 * The items of a request: each is answered once, under the list and the name it came with. One that fails is an Error in its place and
 * spoils no other. A group is named by its unit, a standalone device by its only member: these are the names of discoverDevices.
 */
import type { ReplicationUnit, UnitRole } from '../core/array/replication.ts'
import { errorFromReport, StorageError, toStorageError, type ErrorKind } from '../core/errors.ts'
import { eachUnit, type ReplicationSite } from '../core/replication/index.ts'
import type { Here } from './arrays.ts'
import { loggedArray } from './log/array-log.ts'
import { shown, type SraLog } from './log/log.ts'
import { errorMessage } from './messages.ts'
import type { Message } from './schema/shape.ts'

export type Named = { readonly id: string } | { readonly key: string }
export type Kind = ReplicationUnit['kind']

export const nameOf = (item: Named): string => ('id' in item ? item.id : item.key)

/** What a group or a device is called at its own site, and the key that both sites share. */
export const idOf = (unit: ReplicationUnit): string => (unit.kind === 'group' ? unit.id : unit.members[0]?.volume ?? unit.id)
export const keyOf = (unit: ReplicationUnit): string => (unit.kind === 'group' ? unit.key : unit.members[0]?.key ?? unit.key)

/** One item on its way: its unit, and the site as its steps see it. */
export interface Item<I> {
  readonly asked: I
  readonly kind: Kind
  readonly unit: ReplicationUnit
  readonly site: ReplicationSite
  readonly log: SraLog
}

/** `received`: keys of sides that receive, or were promoted. Any: also of units that have been reversed since. */
export type Roles = 'any' | 'received'

const receiving: readonly UnitRole[] = ['target', 'promoted', 'unknown']

const unknown = (here: Here, kind: Kind, asked: Named): StorageError => {
  const name = nameOf(asked)
  const group = kind === 'device' ? here.units.find((unit) => unit.kind === 'group' && unit.members.some(({ volume, key }) => ('id' in asked ? volume : key) === name)) : undefined
  if (group !== undefined) {
    return new StorageError('invalidArgument', `Device ${shown(name)} belongs to the group ${shown(group.name)}`, { field: 'item', layer: 'sra', remedy: 'Name the group: its devices share one fate' })
  }
  const other = here.units.find((unit) => unit.kind === kind && ('id' in asked ? keyOf(unit) : idOf(unit)) === name)
  const hint = other === undefined ? 'it may be gone, belong to another array, or be left out by the filter of the connection' : `it is ${'id' in asked ? 'the key of a target' : 'the id of a source'}`
  return new StorageError('notFound', `The array ${shown(here.info.id)} has no ${kind} ${shown(name)} for this command: ${hint}`, { field: 'item', layer: 'sra', remedy: 'Discover the devices again' })
}

type Find = (kind: Kind, asked: Named) => ReplicationUnit

/** By id or key, each as it is spelt; then without blanks at its ends, as an example of the interface has it. */
const finder = (here: Here, roles: Roles): Find => {
  const table = new Map<string, ReplicationUnit>()
  for (const unit of here.units) {
    table.set(JSON.stringify([unit.kind, 'id', idOf(unit)]), unit)
    if (roles === 'any' || receiving.includes(unit.role)) table.set(JSON.stringify([unit.kind, 'key', keyOf(unit)]), unit)
  }
  return (kind, asked) => {
    const by = 'id' in asked ? 'id' : 'key'
    const found = [nameOf(asked), nameOf(asked).trim()].map((name) => table.get(JSON.stringify([kind, by, name]))).find((unit) => unit !== undefined)
    if (found === undefined) throw unknown(here, kind, asked)
    return found
  }
}

interface Lists<I> {
  readonly groups?: readonly I[] | undefined
  readonly devices?: readonly I[] | undefined
}
type Answered<I extends Named, R> = (I extends { readonly id: string } ? { readonly id: string } : { readonly key: string }) & (R | { readonly error: Message })
interface AnsweredLists<I extends Named, R> {
  readonly groups?: readonly Answered<I, R>[]
  readonly devices?: readonly Answered<I, R>[]
}

/** A refusal of one item, for commands whose order of steps forbids it. */
export const refuse = (kind: ErrorKind, message: string, remedy: string): StorageError => new StorageError(kind, message, { field: 'item', layer: 'sra', remedy })

/** Answers every item of both lists, several at a time. Lists that were not sent are not answered. */
export const eachItem = async <I extends Named, R extends object>(here: Here, command: string, lists: Lists<I>, roles: Roles, work: (item: Item<I>) => Promise<R>): Promise<AnsweredLists<I, R>> => {
  const { world } = here
  const find = finder(here, roles)
  const all = [...(lists.groups ?? []).map((asked) => ({ kind: 'group' as const, asked })), ...(lists.devices ?? []).map((asked) => ({ kind: 'device' as const, asked }))]
  let done = 0
  const results = await eachUnit(all.map((one) => ({ ...one, id: nameOf(one.asked) })), async ({ kind, asked }) => {
    const log = world.log.child()
    const step = log.begin(`${command} of ${kind} ${shown(nameOf(asked))}`, 'info')
    try {
      world.ctx.signal.throwIfAborted()
      const unit = find(kind, asked)
      const ctx = { ...world.ctx, callId: log.id, progress: () => undefined }
      const site = { ctx, local: loggedArray(here.array, log, nameOf(asked), here.info.id), traits: here.traits }
      const result = await work({ asked, kind, unit, site, log })
      step.complete()
      return { result, warnings: [] }
    } catch (thrown) {
      const error = toStorageError(thrown, 'sra')
      step.fail(`${error.message}${error.facts.remedy === undefined ? '' : `. ${error.facts.remedy}`}`)
      throw error
    } finally {
      world.progress((done += 1), all.length)
    }
  })
  const answers = all.map(({ asked }, index): Answered<I, R> => {
    const outcome = results[index]
    const name = 'id' in asked ? { id: asked.id } : { key: asked.key }
    const result = outcome?.value === undefined ? { error: errorMessage(outcome?.error === undefined ? new StorageError('driverBug', `${shown(nameOf(asked))} was not answered`, { layer: 'sra', remedy: 'Report this' }) : errorFromReport(outcome.error)) } : outcome.value.result
    return { ...name, ...result } as Answered<I, R>
  })
  const groups = lists.groups?.length ?? 0
  return { ...(lists.groups === undefined ? {} : { groups: answers.slice(0, groups) }), ...(lists.devices === undefined ? {} : { devices: answers.slice(groups) }) }
}

/** Absent when there are none: the table has one at least. */
export const withWarnings = (warnings: readonly Message[]): { readonly warnings?: readonly Message[] } => (warnings.length === 0 ? {} : { warnings })
