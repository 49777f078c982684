/** A model array: LUNs that hold bytes, the targets they are mapped to, and their persistent reservations. Shared by all hosts. */
import { addInode, assign, change, createVolume, syncContent, syncNames, type Inode, type Volume } from '../../model/volume.ts'

export interface ModelPortal {
  readonly address: string
  readonly port: number
}

/** Persistent reservations of one LUN (SPC-4, 5.13). A nexus is one session of one initiator. */
interface Reservations {
  generation: number
  readonly registered: Map<string, bigint>
  holder: string | undefined
}

export interface ModelTarget {
  readonly iqn: string
  readonly portals: readonly ModelPortal[]
  /** LUN number -> unit serial. */
  readonly luns: Map<number, string>
  /** Initiators that may log in; everybody when absent. */
  readonly initiators?: readonly string[]
  chap: { user: string; password: string } | undefined
  mutual: { user: string; password: string } | undefined
  /** Portals that answer. */
  readonly alive: Set<string>
  /** What each initiator sees, where an array decides it by initiator: LUN number -> unit serial. Then `luns` counts for nobody. */
  masks?: Map<string, Map<number, string>>
}

export interface ModelArray {
  /** One block device a unit serial, never mounted anywhere. */
  readonly disks: Volume
  readonly targets: readonly ModelTarget[]
  /** Of discovery. */
  discoveryChap: { user: string; password: string } | undefined
  readonly reservations: Map<string, Reservations>
  /** Serials whose LUN knows no persistent reservations. */
  readonly plain: Set<string>
}

export const portalName = ({ address, port }: ModelPortal): string => `${address}:${port}`

/** As LIO makes the NAA of a unit serial: 6, its company id 001405, then the hex digits of the serial. */
export const naaOf = (serial: string): string => `6001405${serial.replaceAll('-', '')}`.slice(0, 32)

export const setSize = (array: ModelArray, serial: string, size: number): void => {
  const inode = array.disks.root.entries.get(serial) ?? addInode(array.disks, 'block', 0)
  change(inode, { kind: 'truncate', length: size }, 0)
  syncContent(inode)
  assign(array.disks, [{ directory: array.disks.root, name: serial, to: inode }], 0)
  syncNames(array.disks, array.disks.root)
}

export const diskOf = (array: ModelArray, serial: string): Inode => {
  const inode = array.disks.root.entries.get(serial)
  if (inode === undefined) throw new Error(`the array has no disk ${serial}`)
  return inode
}

export interface TargetPlan {
  readonly iqn: string
  readonly portals?: readonly ModelPortal[]
  readonly luns: readonly { readonly number: number; readonly serial: string; readonly size: number }[]
  readonly initiators?: readonly string[]
  readonly chap?: { readonly user: string; readonly password: string }
  readonly mutual?: { readonly user: string; readonly password: string }
}

export const createArray = (plans: readonly TargetPlan[]): ModelArray => {
  const array: ModelArray = { disks: createVolume(), discoveryChap: undefined, reservations: new Map(), plain: new Set(), targets: plans.map((plan) => {
    const portals = plan.portals ?? [{ address: '192.0.2.10', port: 3260 }]
    return {
      iqn: plan.iqn, portals, luns: new Map(plan.luns.map(({ number, serial }) => [number, serial])), alive: new Set(portals.map(portalName)),
      chap: plan.chap === undefined ? undefined : { ...plan.chap }, mutual: plan.mutual === undefined ? undefined : { ...plan.mutual },
      ...(plan.initiators === undefined ? {} : { initiators: plan.initiators }),
    }
  }) }
  for (const { luns } of plans) for (const { serial, size } of luns) setSize(array, serial, size)
  return array
}

export const copyArray = (array: ModelArray, volume: (original: Volume) => Volume): ModelArray => ({
  disks: volume(array.disks), discoveryChap: array.discoveryChap, plain: new Set(array.plain),
  targets: array.targets.map((target) => ({
    ...target, luns: new Map(target.luns), alive: new Set(target.alive),
    ...(target.masks === undefined ? {} : { masks: new Map([...target.masks].map(([initiator, luns]) => [initiator, new Map(luns)])) }),
  })),
  reservations: new Map([...array.reservations].map(([serial, one]) => [serial, { ...one, registered: new Map(one.registered) }])),
})

export const reservationsOf = (array: ModelArray, serial: string): Reservations => {
  const known = array.reservations.get(serial)
  if (known !== undefined) return known
  const fresh: Reservations = { generation: 0, registered: new Map(), holder: undefined }
  array.reservations.set(serial, fresh)
  return fresh
}

const withdraw = (state: Reservations, nexus: string): void => {
  state.registered.delete(nexus)
  if (state.holder === nexus) state.holder = undefined
}

/** True when done, false on a reservation conflict. */
export const persistOut = (state: Reservations, nexus: string, act: string, rk: bigint, sark: bigint): boolean => {
  if (act === 'register-ignore') {
    if (sark === 0n) withdraw(state, nexus)
    else state.registered.set(nexus, sark)
    state.generation += 1
    return true
  }
  if (state.registered.get(nexus) !== rk) return false
  if (act === 'reserve') {
    if (state.holder !== undefined && state.holder !== nexus) return false
    state.holder = nexus
    return true
  }
  if (act === 'release') {
    if (state.holder === nexus) state.holder = undefined
    return true
  }
  if (act !== 'preempt') throw new Error(`the model knows no persistent reserve out ${act}`)
  const victims = [...state.registered].filter(([, key]) => key === sark).map(([name]) => name)
  if (victims.length === 0) return false
  const held = state.holder !== undefined && victims.includes(state.holder)
  for (const victim of victims) if (victim !== nexus) withdraw(state, victim)
  if (held) state.holder = nexus
  state.generation += 1
  return true
}
