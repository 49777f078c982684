/** Commands on targets that answer no more than success: lists by key. */
import type { Here } from './arrays.ts'
import { eachItem, withWarnings, type Item, type Roles } from './items.ts'
import type { Message } from './schema/shape.ts'
import type { Group, Device, Target } from './presentation.ts'

interface Lists<T> {
  readonly targetGroups?: readonly T[] | undefined
  readonly targetDevices?: readonly T[] | undefined
}

export const eachTarget = async <T extends { readonly key: string }, R extends object>(here: Here, command: string, { targetGroups, targetDevices }: Lists<T>, roles: Roles, work: (item: Item<T>) => Promise<R>) => {
  const { groups, devices } = await eachItem(here, command, { groups: targetGroups, devices: targetDevices }, roles, work)
  return { ...(groups === undefined ? {} : { targetGroups: groups }), ...(devices === undefined ? {} : { targetDevices: devices }) }
}

/** Success, with what is worth telling. */
export const success = (warnings: readonly Message[]) => ({ success: true as const, ...withWarnings(warnings) })

type Shown<R> = { readonly key: string } & (R | { readonly error: Message })

/** The same for the two commands whose answers differ between groups and devices: all items at once, each shown in its own form. */
export const eachAccessed = async <T, G extends object, D extends object>(
  here: Here, command: string, { targetGroups, targetDevices }: { readonly targetGroups?: readonly Group[] | undefined; readonly targetDevices?: readonly Device[] | undefined },
  work: (item: Item<Target>) => Promise<T>, show: { readonly group: (done: T) => G; readonly device: (done: T) => D },
): Promise<{ readonly targetGroups?: readonly Shown<G>[]; readonly targetDevices?: readonly Shown<D>[] }> => {
  const { groups, devices } = await eachItem(here, command, { groups: targetGroups as readonly Target[] | undefined, devices: targetDevices as readonly Target[] | undefined }, 'received', async (item) => ({ done: await work(item) }))
  return {
    ...(groups === undefined ? {} : { targetGroups: groups.map((one) => ({ key: one.key, ...('done' in one ? show.group(one.done) : { error: one.error }) })) }),
    ...(devices === undefined ? {} : { targetDevices: devices.map((one) => ({ key: one.key, ...('done' in one ? show.device(one.done) : { error: one.error }) })) }),
  }
}
