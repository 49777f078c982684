/** The power cuts worth trying at one moment: the extremes, each single change alone, each single change missing, and a few by lot. */
import type { Machine } from '../model/machine.ts'
import { atRisk, fingerprintOf, type Fate, type Volume } from '../model/volume.ts'

export interface NamedFate {
  readonly name: string
  readonly fate: Fate
}

/** Small, fast, the same on every machine (xorshift32). */
export const lots = (seed: number): (() => number) => {
  let state = (seed * 2654435761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

const fateOf = (names: readonly boolean[], sectors: readonly boolean[]): Fate => ({
  name: (index) => names[index] ?? true,
  sector: (index) => sectors[index] ?? true,
})

const volumesOf = (machine: Machine): readonly Volume[] => [...new Set([machine.first, machine.second].flatMap((host) => [...host.space.mounts.values()]))]

/** At most that many single changes are tried alone; a longer list is tried by lot. */
const singles = 5

/** Equal for equal worlds; undefined when that cannot be told. */
export const fingerprint = (machine: Machine): string | undefined => {
  const tools = machine.tools.map((tool) => tool.fingerprint?.())
  if (tools.includes(undefined)) return undefined
  const hosts = [machine.first, machine.second].map(({ bootId, records, space }) => [
    bootId, [...records.srs], [...records.attachments].map(([sr, of]) => [sr, [...of]]), [...space.mounts].map(([path, volume]) => [path, volume.device, volume.readOnly]),
  ])
  return JSON.stringify([hosts, tools, volumesOf(machine).map(fingerprintOf)])
}

/** `extremes`: only all or nothing, for a cut that follows another one. */
export const fatesAt = (machine: Machine, seed: number, which: 'all' | 'extremes' = 'all'): readonly NamedFate[] => {
  const risks = volumesOf(machine).map(atRisk)
  const names = Math.max(0, ...risks.map((risk) => risk.names))
  const sectors = Math.max(0, ...risks.map((risk) => risk.sectors))
  const all = (count: number, value: boolean): readonly boolean[] => Array.from({ length: count }, () => value)
  const random = lots(seed)
  const byLot = (count: number): readonly boolean[] => Array.from({ length: count }, () => random() < 0.5)
  const one = (count: number, index: number, value: boolean): readonly boolean[] => Array.from({ length: count }, (_, at) => (at === index ? value : !value))

  const unequal = (): readonly (readonly [string, readonly boolean[], readonly boolean[]])[] => [
    ['only names survive', all(names, true), all(sectors, false)],
    ['only content survives', all(names, false), all(sectors, true)],
    ...Array.from({ length: Math.min(names, singles) }, (_, index) => [`only name ${index + 1} survives`, one(names, index, true), all(sectors, true)] as const),
    ...Array.from({ length: Math.min(names, singles) }, (_, index) => [`only name ${index + 1} is lost`, one(names, index, false), all(sectors, true)] as const),
    ...[1, 2].map((turn) => [`by lot ${turn}`, byLot(names), byLot(sectors)] as const),
  ]

  const wanted: readonly (readonly [string, readonly boolean[], readonly boolean[]])[] = [
    ['nothing survives', all(names, false), all(sectors, false)],
    ['everything survives', all(names, true), all(sectors, true)],
    ...(which === 'extremes' ? [] : unequal()),
  ]
  const seen = new Set<string>()
  return wanted.flatMap(([name, keptNames, keptSectors]) => {
    const key = `${keptNames.map(Number).join('')}/${keptSectors.map(Number).join('')}`
    if (seen.has(key)) return []
    seen.add(key)
    return [{ name, fate: fateOf(keptNames, keptSectors) }]
  })
}
