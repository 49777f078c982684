/** QoS: the rules that the array has on volume sets. A volume has the QoS of the one rule-bearing set it is in; `none` is in none. */
import type { ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { licensed } from './capabilities.ts'
import type { Near } from './near.ts'
import { qosTarget } from './wsapi/enums.ts'
import { changeSet, listSets } from './wsapi/hosts.ts'
import { layer } from './wsapi/layer.ts'
import { listQos } from './wsapi/qos.ts'
import type { MemberSet, Qos } from './wsapi/schemas.ts'

const none = 'none'

/** Named `vvset:<set>` by some releases and `<set>` by others. */
const setNameOf = (rule: Qos): string => (rule.name ?? '').replace(/^vvset:/, '')

const labelOf = (rule: Qos): string => {
  const limits = [
    ...(rule.ioMaxLimit === undefined ? [] : [`at most ${rule.ioMaxLimit} I/O a second`]),
    ...(rule.bwMaxLimitKB === undefined ? [] : [`at most ${rule.bwMaxLimitKB} KiB/s`]),
    ...(rule.latencyGoal === undefined ? [] : [`latency goal ${rule.latencyGoal} ms`]),
  ]
  return `${setNameOf(rule)}: ${limits.join(', ') || 'no limit'}${rule.enabled === false ? ' (off)' : ''}`
}

const rulesOf = async (ctx: ArrayCtx, near: Near): Promise<readonly Qos[]> =>
  licensed(near.system, 'qos', ctx.clock.now()) ? (await listQos(near.api, ctx.signal)).filter((rule) => (rule.type ?? qosTarget.set) === qosTarget.set && rule.name !== undefined) : []

export const listRules = async (ctx: ArrayCtx, near: Near): Promise<readonly { readonly value: string; readonly label: string }[]> =>
  [{ value: none, label: 'No rule of its own' }, ...(await rulesOf(ctx, near)).map((rule) => ({ value: setNameOf(rule), label: labelOf(rule) }))]

const qosSets = async (ctx: ArrayCtx, near: Near): Promise<readonly MemberSet[]> => {
  const rules = new Set((await rulesOf(ctx, near)).map(setNameOf))
  return rules.size === 0 ? [] : (await listSets(near.api, 'volumesets', ctx.signal)).filter(({ name }) => rules.has(name))
}

/** Looks once, and answers for any volume. */
export const findQosOf = async (ctx: ArrayCtx, near: Near): Promise<(volume: string) => string | undefined> => {
  if (!licensed(near.system, 'qos', ctx.clock.now())) return () => undefined
  const sets = await qosSets(ctx, near)
  return (volume) => sets.find(({ setmembers }) => setmembers.includes(volume))?.name ?? none
}

/** Steps: 1. into the new set; 2. out of the others. In between both rules hold, and the stricter one counts; a repeat ends it. */
export const putIntoQosSet = async (ctx: ArrayCtx, near: Near, volume: string, value: string): Promise<void> => {
  const sets = await qosSets(ctx, near)
  const wanted = sets.find(({ name }) => name === value)
  if (wanted === undefined && value !== none) {
    throw new StorageError(licensed(near.system, 'qos', ctx.clock.now()) ? 'invalidArgument' : 'notLicensed', `qos: the array has no rule ${JSON.stringify(value.slice(0, 60))}`, { layer, field: 'qos', remedy: `Use one of: ${[none, ...sets.map(({ name }) => name)].join(', ')}` })
  }
  if (wanted !== undefined && !wanted.setmembers.includes(volume)) await changeSet(near.api, 'volumesets', wanted.name, 'add', [volume], ctx.signal)
  for (const set of sets) if (set !== wanted && set.setmembers.includes(volume)) await changeSet(near.api, 'volumesets', set.name, 'remove', [volume], ctx.signal)
}

/** False when it was in none. */
export const leaveQosSets = async (ctx: ArrayCtx, near: Near, volume: string): Promise<boolean> => {
  const sets = (await qosSets(ctx, near)).filter(({ setmembers }) => setmembers.includes(volume))
  for (const set of sets) await changeSet(near.api, 'volumesets', set.name, 'remove', [volume], ctx.signal)
  return sets.length > 0
}
