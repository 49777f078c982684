/** Two simulated 3PAR-class arrays, the driver on each, and hosts that write: what the replication world and the SRA's play stand on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ReplicationMode } from '../../../core/array/replication.ts'
import type { CallCtx } from '../../../core/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import type { Access, Settings } from '../../../drivers/array-replication/hpe-3par/connection.ts'
import { openArray } from '../../../drivers/array-replication/hpe-3par/open.ts'
import { startArrays, type RunningArray, type RunningArrays } from '../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { createMachine, ctxOn, otherSite, type SiteName } from './world.ts'

export const volumeSize = 256 * 1024 * 1024

/** The arrays' clocks run so many times faster than ours: their times have whole seconds. */
const haste = 50
const begun = Date.now()
const now = (): number => begun + (Date.now() - begun) * haste

const accessTo = (sim: RunningArray): Access => ({ url: sim.url, user: sim.user, password: sim.password, tls: { fingerprint: sim.certificate.fingerprint }, iscsiIps: [] })

export interface Hpe3parStand {
  readonly ctx: CallCtx
  readonly running: RunningArrays
  readonly sim: (site: SiteName) => RunningArray
  readonly connect: (site: SiteName) => Promise<OpenArray>
  /** Waits until a unit has been transferred once. */
  readonly settled: (array: OpenArray, unit: string) => Promise<void>
  readonly wwnsOf: (array: OpenArray, unit: string, volumes: readonly string[]) => Promise<readonly string[]>
  /** As one of the hosts; false when the array lets none of them. */
  readonly write: (site: SiteName, wwn: string, offset: number, bytes: Buffer) => Promise<boolean>
  readonly writeCounter: (site: SiteName, wwns: readonly string[], value: number) => Promise<boolean>
  readonly counters: (site: SiteName, volumes: readonly string[]) => readonly number[]
  /** Tried far from the counters: only whether the array takes it matters. */
  readonly isWritable: (site: SiteName, wwn: string) => Promise<boolean>
  readonly destroy: () => Promise<void>
}

export const startHpe3parStand = async (mode: ReplicationMode, hosts: readonly string[]): Promise<Hpe3parStand> => {
  const root = mkdtempSync(join(tmpdir(), '3par-'))
  const ctx = ctxOn(createMachine('maker'))
  const running = await startArrays({ arrays: [{ maxSessions: 1_000_000 }, { maxSessions: 1_000_000 }], stateDirectory: root, keepAlive: true, now, durations: { copyMs: 100, promoteMs: 100, syncMs: 0 } })
  const opened = new Set<OpenArray>()
  const sim = (site: SiteName): RunningArray => {
    const found = running.arrays[site === 'a' ? 0 : 1]
    if (found === undefined) throw new Error(`no array ${site}`)
    return found
  }
  const write: Hpe3parStand['write'] = async (site, wwn, offset, bytes) => {
    for (const host of hosts) {
      try {
        await sim(site).write({ host, wwn }, offset, bytes)
        return true
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
      }
    }
    return false
  }
  return {
    ctx, running, sim, write,
    async connect(site) {
      const other = sim(otherSite(site))
      const settings: Settings = {
        access: accessTo(sim(site)), cpg: 'SSD_r6', snapCpg: 'FC_r5',
        peer: { target: other.name, mode, periodSeconds: mode === 'periodic' ? 31_622_400 : undefined, cpgMap: new Map([['SSD_r6', 'SSD_r6']]), snapCpgMap: new Map([['FC_r5', 'FC_r5']]), access: accessTo(other) },
      }
      const array = await openArray(ctx, settings, { pauses: [5], secondMs: 25 })
      const tracked: OpenArray = {
        ...array,
        async close() {
          opened.delete(tracked)
          await array.close()
        },
      }
      opened.add(tracked)
      return tracked
    },
    async settled(array, unit) {
      while ((await array.replication?.unit(ctx, unit))?.lastConsistent.kind !== 'time') running.catchUp()
    },
    async wwnsOf(array, unit, volumes) {
      const members = (await array.replication?.unit(ctx, unit))?.members ?? []
      return volumes.map((name) => {
        const identity = members.find((member) => member.name === name)?.identity
        return identity?.kind === 'wwn' ? identity.wwid.replace(/^naa\./, '') : ''
      })
    },
    async writeCounter(site, wwns, value) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      for (const wwn of wwns) if (!(await write(site, wwn, 0, bytes))) return false
      return true
    },
    counters(site, volumes) {
      running.catchUp()
      return volumes.map((name) => Number(sim(site).inspect(name, 0, 8).readBigUInt64LE()))
    },
    isWritable: async (site, wwn) => write(site, wwn, 65_536, Buffer.alloc(8, 1)),
    async destroy() {
      await Promise.all([...opened].map(async (array) => array.close()))
      await running.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
