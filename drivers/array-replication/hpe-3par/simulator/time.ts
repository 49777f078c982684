/**
 * What happens by itself: tasks end, transfers arrive, periods begin. Nothing of it needs a timer: before anything looks at the
 * arrays, or writes to a volume, all that was due until then happens in the order of time. A write after the start of a period
 * is therefore never part of it, and tests that own the clock need not sleep.
 */
import type { World } from './model.ts'
import { nextGroupEvents } from './remote-copy/transfers.ts'
import { nextTaskEnd } from './tasks.ts'

/** Makes what the current request changed durable, and does what must wait for that. */
export const commit = (world: World): void => {
  world.onDiscard.length = 0
  world.journal.commit()
  for (const step of world.afterCommit.splice(0)) step()
}

export const discard = (world: World): void => {
  world.journal.discard()
  world.afterCommit.length = 0
  for (const step of world.onDiscard.splice(0).reverse()) step()
}

export const catchUp = (world: World): void => {
  const now = world.now()
  for (;;) {
    const due = world.arrays.filter(({ powered }) => powered).flatMap((array) => [nextTaskEnd(world, array), ...nextGroupEvents(world, array)])
      .filter((event) => event !== undefined).sort((one, other) => one.atMs - other.atMs)[0]
    if (due === undefined || due.atMs > now) return
    due.happen()
    commit(world)
  }
}
