/** A file SR in a temporary directory, with the engine in front and the bytes of its disks at hand. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeEngine } from '../../../cli/compose.ts'
import type { Engine } from '../../../core/caller.ts'
import { asSrUuid, asVdiUuid, type SrUuid, type VdiUuid } from '../../../core/ids.ts'
import { createFiles } from '../../../host/files/files.ts'
import { silentLog } from '../../../host/log.ts'
import { openDisk } from '../../../stores/image-files/content.ts'
import { createDirectScanner } from '../../../stores/image-files/scan/direct.ts'

export interface FileWorld {
  readonly engine: Engine
  readonly root: string
  readonly location: string
  readonly sr: SrUuid
  read(vdi: VdiUuid, offset: number, length: number): Promise<Uint8Array>
  write(vdi: VdiUuid, offset: number, bytes: Uint8Array): Promise<void>
  /** Another engine on the same state: a restarted process. */
  restart(): Promise<Engine>
  dispose(): Promise<void>
}

export const files = createFiles()
export const newVdi = (): VdiUuid => asVdiUuid(crypto.randomUUID())

const compose = async (root: string): Promise<Engine> =>
  composeEngine({ stateDirectory: join(root, 'state'), log: silentLog, scanner: createDirectScanner() })

export const fileWorld = async (): Promise<FileWorld> => {
  const root = mkdtempSync(join(tmpdir(), 'sm-store-'))
  const location = join(root, 'disks')
  mkdirSync(location)
  const sr = asSrUuid(crypto.randomUUID())
  const engine = await compose(root)
  const engines = [engine]
  await engine.call('SR.create', { sr_uuid: sr, type: 'file', device_config: { location } })
  await engine.call('SR.attach', { sr_uuid: sr })
  const withDisk = async <T>(vdi: VdiUuid, mode: 'read' | 'write', work: (disk: Awaited<ReturnType<typeof openDisk>>) => Promise<T>): Promise<T> => {
    const disk = await openDisk(files, location, vdi, mode)
    try {
      return await work(disk)
    } finally {
      await disk.close()
    }
  }
  return {
    engine, root, location, sr,
    read: async (vdi, offset, length) => withDisk(vdi, 'read', async (disk) => disk.read(offset, length)),
    write: async (vdi, offset, bytes) => withDisk(vdi, 'write', async (disk) => {
      await disk.write(offset, bytes)
      await disk.sync()
    }),
    async restart() {
      const next = await compose(root)
      engines.push(next)
      return next
    },
    async dispose() {
      await Promise.all(engines.map(async (one) => one.close()))
      rmSync(root, { recursive: true, force: true })
    },
  }
}
