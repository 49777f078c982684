/** A pair of model arrays over plain files and hosts that write to them: what the replication world and the SRA's play stand on. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../core/array/contract.ts'
import type { CallCtx } from '../../../core/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import { modelArray } from '../../../drivers/array-replication/model/driver.ts'
import { createModelPair, hostWrite, readContent } from '../../../drivers/array-replication/model/world.ts'
import { createMachine, ctxOn, type SiteName } from './world.ts'

export const modelVolumeSize = 4096

export interface ModelStand {
  readonly ctx: CallCtx
  readonly pair: ReturnType<typeof createModelPair>
  readonly open: (site: SiteName) => Promise<OpenArray>
  readonly makeVolumes: (array: OpenArray, names: readonly string[]) => Promise<readonly string[]>
  /** To each volume, as a host it is presented to; false when there is none, or the array does not let it. */
  readonly writeCounter: (site: SiteName, volumes: readonly string[], value: number) => Promise<boolean>
  readonly counters: (site: SiteName, volumes: readonly string[]) => readonly number[]
  /** Keeps both arrays as they are; the answer brings them back to that. */
  readonly save: () => Promise<() => Promise<void>>
  readonly destroy: () => Promise<void>
}

export const createModelStand = (): ModelStand => {
  const root = mkdtempSync(join(tmpdir(), 'model-'))
  const saved: string[] = []
  const pair = createModelPair(root)
  const ctx = ctxOn(createMachine('maker'))
  const open = async (site: SiteName): Promise<OpenArray> => modelArray.connect(ctx, { directory: pair[site] })
  return {
    ctx, pair, open,
    async makeVolumes(array, names) {
      const volumes: string[] = []
      for (const name of names) {
        const made = await array.create(ctx, { name, size: modelVolumeSize, provisioning: 'thin' })
        if (made.kind === 'done') volumes.push(made.value.id)
      }
      return volumes
    },
    async writeCounter(site, volumes, value) {
      const array = await open(site)
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      const presentations = (await array.access?.presentations(ctx, volumes)) ?? []
      for (const volume of volumes) {
        const group = presentations.find((one) => one.volume === volume)?.group
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
    counters: (site, volumes) => volumes.map((volume) => Number(Buffer.from(readContent(pair[site], volume, 0, 8)).readBigUInt64LE())),
    async save() {
      const kept = mkdtempSync(join(tmpdir(), 'model-kept-'))
      cpSync(root, kept, { recursive: true })
      saved.push(kept)
      return async () => {
        rmSync(root, { recursive: true, force: true })
        cpSync(kept, root, { recursive: true })
      }
    },
    async destroy() {
      for (const directory of [root, ...saved]) rmSync(directory, { recursive: true, force: true })
    },
  }
}
