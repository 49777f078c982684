/**
 * Random histories of an SR, played on the real thing and on a model that keeps every disk as a map of sectors. Operations
 * choose among what exists, so that every generated history is possible.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { VdiUuid } from '../../../core/ids.ts'
import { MiB } from '../../../core/units.ts'
import { newVdi, type FileWorld } from './world.ts'

const sector = 512

interface ModelDisk {
  readonly kind: 'disk' | 'snapshot'
  size: number
  /** Sector number -> the byte it is filled with. Absent: zeros. */
  readonly sectors: Map<number, number>
}

export type Model = Map<VdiUuid, ModelDisk>

type Step =
  | { readonly do: 'create' | 'full'; readonly size: number }
  | { readonly do: 'write'; readonly which: number; readonly at: number; readonly count: number; readonly fill: number }
  | { readonly do: 'snapshot' | 'clone' | 'delete' | 'grow' | 'revert'; readonly which: number; readonly other: number }
  | { readonly do: 'collect' }

const weighted = (weight: number, arbitrary: fc.Arbitrary<Step>): { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> } => ({ weight, arbitrary })

const write = fc.record({
  do: fc.constant('write' as const), which: fc.nat(20),
  // Where blocks, bitmaps' bytes and the end of a disk meet, as often as anywhere else.
  at: fc.oneof(fc.nat(20_000), fc.constantFrom(0, 7, 8, 4094, 4095, 4096, 8191, 8192, 12_287)),
  count: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(4096, 5000)),
  fill: fc.integer({ min: 0, max: 255 }),
})

export const histories = (maxLength: number): fc.Arbitrary<readonly Step[]> => fc.array(fc.oneof(
  weighted(2, fc.record({ do: fc.constantFrom('create' as const, 'full' as const), size: fc.integer({ min: 1, max: 12 }).map((n) => n * MiB) })),
  weighted(8, write),
  weighted(10, fc.record({ do: fc.constantFrom('snapshot' as const, 'clone' as const, 'delete' as const, 'grow' as const, 'revert' as const), which: fc.nat(20), other: fc.nat(20) })),
  weighted(3, fc.constant({ do: 'collect' as const })),
), { minLength: 4, maxLength })

const copyOf = (disk: ModelDisk, kind: ModelDisk['kind']): ModelDisk => ({ kind, size: disk.size, sectors: new Map(disk.sectors) })

const choose = (model: Model, which: number, kind?: ModelDisk['kind']): readonly [VdiUuid, ModelDisk] | undefined => {
  const candidates = [...model].filter(([, disk]) => kind === undefined || disk.kind === kind)
  return candidates.length === 0 ? undefined : candidates[which % candidates.length]
}

/** Plays one step on both; steps that find nothing to work on do nothing. */
export const play = async (world: FileWorld, model: Model, step: Step): Promise<void> => {
  const { engine, sr } = world
  if ('size' in step) {
    const uuid = newVdi()
    const made = await engine.call('VDI.create', { sr_uuid: sr, vdi_uuid: uuid, size: step.size, provisioning: step.do === 'full' ? 'full' : 'sparse' })
    expect(made.size).toBeGreaterThanOrEqual(step.size)
    model.set(uuid, { kind: 'disk', size: made.size, sectors: new Map() })
    return
  }
  if (step.do === 'collect') {
    await engine.call('SR.collect', { sr_uuid: sr })
    return
  }
  if (step.do === 'write') {
    const [uuid, disk] = choose(model, step.which, 'disk') ?? []
    if (uuid === undefined || disk === undefined) return
    const first = step.at % (disk.size / sector)
    const count = Math.min(step.count, disk.size / sector - first)
    await world.write(uuid, first * sector, new Uint8Array(count * sector).fill(step.fill))
    for (let at = first; at < first + count; at += 1) disk.sectors.set(at, step.fill)
    return
  }
  const [uuid, disk] = choose(model, step.which, step.do === 'grow' || step.do === 'revert' ? 'disk' : undefined) ?? []
  if (uuid === undefined || disk === undefined) return
  if (step.do === 'snapshot' || step.do === 'clone') {
    const dest = newVdi()
    await engine.call(`VDI.${step.do}`, { sr_uuid: sr, vdi_uuid: uuid, dest_uuid: dest })
    model.set(dest, copyOf(disk, step.do === 'snapshot' ? 'snapshot' : 'disk'))
  } else if (step.do === 'delete') {
    await engine.call('VDI.delete', { sr_uuid: sr, vdi_uuid: uuid })
    model.delete(uuid)
  } else if (step.do === 'grow') {
    // Now and then beyond what the block table has room for.
    const grown = await engine.call('VDI.resize', { sr_uuid: sr, vdi_uuid: uuid, size: disk.size + (step.other % 4 === 0 ? 700 : 2) * MiB })
    disk.size = grown.size
  } else {
    const [snapshot, content] = choose(model, step.other, 'snapshot') ?? []
    if (snapshot === undefined || content === undefined) return
    const reverted = await engine.call('VDI.revert', { sr_uuid: sr, vdi_uuid: uuid, snapshot_uuid: snapshot })
    expect(reverted.size).toBe(content.size)
    model.set(uuid, copyOf(content, 'disk'))
  }
}

/** The places of a disk worth looking at: what was ever written, and its neighbours. */
const places = (model: Model, disk: ModelDisk): ReadonlySet<number> => {
  const found = new Set([0, disk.size / sector - 1])
  for (const other of model.values()) {
    for (const at of other.sectors.keys()) for (const near of [at - 1, at, at + 1]) if (near >= 0 && near < disk.size / sector) found.add(near)
  }
  return found
}

export const expectedSector = (disk: ModelDisk, at: number): number => disk.sectors.get(at) ?? 0

/** Every disk of the model is in the SR with exactly its content, and nothing else is. */
export const compare = async (world: FileWorld, model: Model): Promise<void> => {
  const { vdis } = await world.engine.call('SR.scan', { sr_uuid: world.sr })
  expect(vdis.filter((vdi) => vdi.problem !== undefined)).toEqual([])
  expect(new Map(vdis.filter((vdi) => vdi.kind !== 'base').map((vdi) => [vdi.uuid, { kind: vdi.kind, size: vdi.size }])))
    .toEqual(new Map([...model].map(([uuid, { kind, size }]) => [uuid, { kind, size }])))
  for (const [uuid, disk] of model) {
    const wanted = [...places(model, disk)].sort((a, b) => a - b)
    // Runs of neighbours are read in one go.
    for (let from = 0; from < wanted.length;) {
      let to = from
      while (to + 1 < wanted.length && wanted[to + 1] === (wanted[to] ?? 0) + 1) to += 1
      const first = wanted[from] ?? 0
      const bytes = await world.read(uuid, first * sector, (to - from + 1) * sector)
      for (let index = 0; index <= to - from; index += 1) {
        const fill = expectedSector(disk, first + index)
        const part = bytes.subarray(index * sector, (index + 1) * sector)
        if (!part.every((byte) => byte === fill)) expect(`sector ${first + index} of ${uuid} holds ${part[0]}`).toBe(`sector ${first + index} of ${uuid} holds ${fill}`)
      }
      from = to + 1
    }
  }
}
