/** This host as an access group of an array: the one its initiator is in, or one made for it. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { hostInitiator } from '../../host/iscsi/session.ts'
import { shortDigest } from '../iscsi-targets/target.ts'
import { layer } from './notes.ts'
import { accessOf } from './objects.ts'
import type { Side } from './sides.ts'

/** How this host reaches arrays: the keys of the dconf that are not about the pool. */
export interface Connection {
  readonly localIQN: string | undefined
  readonly chapuser: string | undefined
  readonly chappassword: string | undefined
  readonly chapuser_in: string | undefined
  readonly chappassword_in: string | undefined
  readonly multipath: 'auto' | 'yes' | 'no'
  readonly login_timeout: string
  readonly replacement_timeout: string | undefined
  /** Seconds to wait for another host that has the VDI, before it is taken away from it. Absent: it never is. */
  readonly conflictDelay: number | undefined
}

const initiatorOf = async (ctx: Ctx, { localIQN }: Connection): Promise<string> => localIQN ?? hostInitiator(ctx)

const ownName = (initiator: string): string => `sm-${shortDigest(initiator)}`

/** Of several the smallest one: presenting to it reaches the fewest other initiators. */
export const findGroup = async (ctx: Ctx, side: Side, connection: Connection): Promise<string | undefined> => {
  const initiator = await initiatorOf(ctx, connection)
  const mine = (await accessOf(side).groups(ctx)).filter(({ initiators }) => initiators.some(({ kind, id }) => kind === 'iscsi' && id === initiator))
  return mine.toSorted((a, b) => a.initiators.length - b.initiators.length || (a.name < b.name ? -1 : 1))[0]?.name
}

export const needGroup = async (ctx: Ctx, side: Side, connection: Connection): Promise<string> => {
  const there = await findGroup(ctx, side, connection)
  if (there !== undefined) return there
  const initiator = await initiatorOf(ctx, connection)
  const [made] = await accessOf(side).createGroups(ctx, [{ name: ownName(initiator), initiators: [{ kind: 'iscsi', id: initiator }] }])
  if (made?.value !== undefined) return made.value.name
  throw new StorageError(made?.error?.kind ?? 'arrayFault', `This host (${initiator}) cannot be made known to ${side.name}: ${made?.error?.message ?? 'the array does not say why'}`, {
    layer, remedy: made?.error?.remedy ?? `Make an access group for it: smctl array create-group ${side.name} ${ownName(initiator)} --initiators iscsi:${initiator}`,
  })
}

/** The group that was made for this host, once nothing is presented to it any more. */
export const dropGroup = async (ctx: Ctx, side: Side, connection: Connection): Promise<void> => {
  const name = ownName(await initiatorOf(ctx, connection))
  if ((await findGroup(ctx, side, connection)) !== name) return
  const [gone] = await accessOf(side).removeGroups(ctx, [name])
  if (gone?.error !== undefined && gone.error.kind !== 'stillPresented' && gone.error.kind !== 'hasDependents') ctx.log.warn({ group: name, left: gone.error.message }, 'the access group of this host is left on the array')
}

/** Takes away what a dead attachment of this host left presented; answers the groups of other hosts that have it. The VDI must not be attached here. */
export const leftPresented = async (ctx: Ctx, side: Side, connection: Connection, { id, presentedTo }: { readonly id: string; readonly presentedTo: readonly string[] }): Promise<readonly string[]> => {
  if (presentedTo.length === 0) return []
  const own = await findGroup(ctx, side, connection)
  if (own !== undefined && presentedTo.includes(own)) await accessOf(side).unpresent(ctx, id, [own])
  return presentedTo.filter((group) => group !== own)
}
