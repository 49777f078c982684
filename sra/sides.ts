/** Commands that run at the source by ids or at the target by keys: their lists, and the same lists answered. */
import type { Here } from './arrays.ts'
import { eachItem, type Item, type Named } from './items.ts'
import type { Message } from './schema/shape.ts'

interface BySide<S, T> {
  readonly consistencyGroups?: readonly S[] | undefined
  readonly sourceDevices?: readonly S[] | undefined
  readonly targetGroups?: readonly T[] | undefined
  readonly targetDevices?: readonly T[] | undefined
}
type Result<N, R> = N & (R | { readonly error: Message })
interface AnsweredBySide<R> {
  readonly consistencyGroups?: readonly Result<{ readonly id: string }, R>[]
  readonly sourceDevices?: readonly Result<{ readonly id: string }, R>[]
  readonly targetGroups?: readonly Result<{ readonly key: string }, R>[]
  readonly targetDevices?: readonly Result<{ readonly key: string }, R>[]
}

/** The reader has seen to it that only one side's lists are there. */
export const eachBySide = async <S extends { readonly id: string }, T extends { readonly key: string }, R extends object>(
  here: Here, command: string, asked: BySide<S, T>, work: (item: Item<Named & Omit<S, 'id'> & Omit<T, 'key'>>) => Promise<R>,
): Promise<AnsweredBySide<R>> => {
  if (asked.targetGroups !== undefined || asked.targetDevices !== undefined) {
    const { groups, devices } = await eachItem(here, command, { groups: asked.targetGroups, devices: asked.targetDevices }, 'received', async (item) => work(item as never))
    return { ...(groups === undefined ? {} : { targetGroups: groups }), ...(devices === undefined ? {} : { targetDevices: devices }) }
  }
  const { groups, devices } = await eachItem(here, command, { groups: asked.consistencyGroups, devices: asked.sourceDevices }, 'any', async (item) => work(item as never))
  return { ...(groups === undefined ? {} : { consistencyGroups: groups }), ...(devices === undefined ? {} : { sourceDevices: devices }) }
}
