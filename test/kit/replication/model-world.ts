/** The kit's replication world on the model array over plain files. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelArray } from '../../../drivers/array-replication/model/driver.ts'
import { modelTraits } from '../../../drivers/array-replication/model/replication.ts'
import { createModelPair, cutLink, cycle, hostWrite, isWritable, readContent, restoreLink } from '../../../drivers/array-replication/model/world.ts'
import { StorageError } from '../../../core/errors.ts'
import { createMachine, ctxOn, type NewWorld, type SiteName } from './world.ts'

const volumesPerUnit = 3
const size = 4096

const hostsOf = { a: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-a' }], b: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-b' }] } as const

export const modelWorld: NewWorld = async ({ mode }) => {
  const root = mkdtempSync(join(tmpdir(), 'model-'))
  const saved: string[] = []
  const pair = createModelPair(root)
  const ctx = ctxOn(createMachine('maker'))
  const open = async (site: SiteName) => modelArray.connect(ctx, { directory: pair[site] })
  const a = await open('a')
  const volumes: string[] = []
  for (let index = 0; index < volumesPerUnit; index += 1) {
    const made = await a.create(ctx, { name: `disk-${index}`, size, provisioning: 'thin' })
    if (made.kind === 'done') volumes.push(made.value.id)
  }
  const unit = await a.replication?.create?.(ctx, { name: 'unit', kind: 'group', peer: 'model-b', mode, volumes })
  if (unit === undefined) throw new Error('the model made no unit')
  const twin = (await (await open('b')).replication?.units(ctx))?.[0]
  if (twin === undefined) throw new Error('the peer has no unit')
  await a.replication?.present(ctx, unit.id, { '': hostsOf.a })
  cycle(pair.a, unit.id)
  const ids = { a: unit.id, b: twin.id }
  const members = { a: unit.members.map(({ volume }) => volume), b: twin.members.map(({ volume }) => volume) }
  return {
    traits: modelTraits, mode, key: unit.key, open,
    idAt: (site) => ids[site],
    hosts: hostsOf, volumeSize: size,
    async write(site, value) {
      const array = await open(site)
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      const groups = (await array.access?.presentations(ctx, members[site])) ?? []
      for (const volume of members[site]) {
        const group = groups.find((one) => one.volume === volume)?.group
        if (group === undefined) return false
        try {
          hostWrite(pair[site], volume, group, 0, bytes)
        } catch (error) {
          if (error instanceof StorageError) return false
          throw error
        }
      }
      return true
    },
    counters: async (site) => members[site].map((volume) => Number(Buffer.from(readContent(pair[site], volume, 0, 8)).readBigUInt64LE())),
    writable: async (site) => isWritable(pair[site], ids[site]),
    cutLink: async () => cutLink(pair),
    restoreLink: async () => restoreLink(pair),
    async save() {
      const kept = mkdtempSync(join(tmpdir(), 'model-kept-'))
      cpSync(root, kept, { recursive: true })
      saved.push(kept)
      return async () => {
        rmSync(root, { recursive: true, force: true })
        cpSync(kept, root, { recursive: true })
      }
    },
    destroy: async () => {
      for (const kept of saved) rmSync(kept, { recursive: true, force: true })
      rmSync(root, { recursive: true, force: true })
    },
  }
}
