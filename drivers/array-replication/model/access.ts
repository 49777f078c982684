/** Access groups and presentations of a model array: a volume has a number of its own in each group (LUN per initiator group). */
import type { AccessGroup, Initiator, Presentation } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { known, layer, presentable, presentables, type ModelState, type ModelVolume } from './state.ts'

export const groupsOf = (state: ModelState, volume?: string): readonly AccessGroup[] => {
  const names = volume === undefined ? Object.keys(state.groups) : presentable(state, volume).presentations.map(({ group }) => group)
  return names.sort().map((name) => ({ name, initiators: state.groups[name] ?? [] }))
}

export const sameInitiators = (a: readonly Initiator[], b: readonly Initiator[]): boolean => {
  const spell = (list: readonly Initiator[]): string => JSON.stringify(list.map(({ kind, id }) => `${kind}/${id}`).sort())
  return spell(a) === spell(b)
}

/** The lowest number that the group does not use. */
const freeLun = (state: ModelState, group: string): number => {
  const used = new Set(presentables(state).flatMap(([, { presentations }]) => presentations.filter((one) => one.group === group).map(({ lun }) => lun)))
  let lun = 1
  while (used.has(lun)) lun += 1
  return lun
}

export const presentTo = (state: ModelState, volume: Pick<ModelVolume, 'presentations'>, group: string): void => {
  known(state.groups, group, 'access group')
  if (volume.presentations.some((one) => one.group === group)) return
  volume.presentations.push({ group, lun: freeLun(state, group) })
}

/** The group of exactly these initiators, made when it is missing. Kinds this array does not speak are left out; none left: undefined. */
export const groupFor = (state: ModelState, initiators: readonly Initiator[]): string | undefined => {
  const spoken = initiators.filter(({ kind }) => kind === 'fc' || kind === 'iscsi')
  if (spoken.length === 0) return undefined
  const found = Object.entries(state.groups).find(([, members]) => sameInitiators(members, spoken))
  if (found !== undefined) return found[0]
  state.next += 1
  const name = `group-${state.next}`
  state.groups[name] = [...spoken]
  return name
}

export const presentationsOf = (state: ModelState, volumes: readonly string[]): readonly Presentation[] =>
  volumes.flatMap((volume) => presentable(state, volume).presentations.map(({ group, lun }) => ({ volume, group, lun, mode: volume.includes('/') ? 'ro' as const : 'rw' as const, targets: [] })))

export const refuseUsed = (state: ModelState, name: string): void => {
  const users = presentables(state).filter(([, { presentations }]) => presentations.some(({ group }) => group === name)).map(([id]) => id)
  if (users.length > 0) throw new StorageError('stillPresented', `Access group ${name} has volumes presented to it: ${users.join(', ')}`, { layer, field: 'group', remedy: 'Unpresent them first' })
}
