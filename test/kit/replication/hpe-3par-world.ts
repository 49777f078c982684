/** The kit's replication world on the 3PAR-class driver and two simulated arrays. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../core/array/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import { openArray } from '../../../drivers/array-replication/hpe-3par/open.ts'
import { traits } from '../../../drivers/array-replication/hpe-3par/replication/section.ts'
import type { Access, Settings } from '../../../drivers/array-replication/hpe-3par/connection.ts'
import { startArrays, type RunningArray } from '../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { createMachine, ctxOn, type NewWorld, type SiteName } from './world.ts'

const volumes = ['disk-0', 'disk-1', 'disk-2'] as const
const hosts = { a: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-a' }], b: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-b' }] } as const

/** The arrays' clocks run so many times faster than ours: their times have whole seconds. */
const haste = 50
const begun = Date.now()
const now = (): number => begun + (Date.now() - begun) * haste

const accessTo = (sim: RunningArray): Access => ({ url: sim.url, user: sim.user, password: sim.password, tls: { fingerprint: sim.certificate.fingerprint }, iscsiIps: [] })

export const hpe3parWorld: NewWorld = async ({ mode }) => {
  const root = mkdtempSync(join(tmpdir(), '3par-'))
  const ctx = ctxOn(createMachine('maker'))
  let open: OpenArray[] = []
  const running = await startArrays({ arrays: [{ maxSessions: 1_000_000 }, { maxSessions: 1_000_000 }], stateDirectory: root, keepAlive: true, now, durations: { copyMs: 100, promoteMs: 100, syncMs: 0 } })
  const sim = (site: SiteName): RunningArray => {
    const found = running.arrays[site === 'a' ? 0 : 1]
    if (found === undefined) throw new Error(`no array ${site}`)
    return found
  }
  const closeAll = async (): Promise<void> => {
    const all = open
    open = []
    await Promise.all(all.map(async (array) => array.close()))
  }
  const connect = async (site: SiteName): Promise<OpenArray> => {
    const other = sim(site === 'a' ? 'b' : 'a')
    const settings: Settings = {
      access: accessTo(sim(site)), cpg: 'SSD_r6', snapCpg: 'FC_r5',
      peer: { target: other.name, mode, periodSeconds: mode === 'periodic' ? 31_622_400 : undefined, cpgMap: new Map([['SSD_r6', 'SSD_r6']]), snapCpgMap: new Map([['FC_r5', 'FC_r5']]), access: accessTo(other) },
    }
    const array = await openArray(ctx, settings, { pauses: [5], secondMs: 25 })
    open.push(array)
    return array
  }
  const ids = { a: 'unit', b: `unit.r${sim('a').id}` }
  const [a, b] = [await connect('a'), await connect('b')]
  for (const name of volumes) await a.create(ctx, { name, size: 256 * 1024 * 1024, provisioning: 'thin' })
  await a.replication?.create?.(ctx, { name: 'unit', kind: 'group', peer: sim('b').name, mode, volumes })
  const unitAt = async (array: OpenArray, site: SiteName) => {
    const unit = await array.replication?.unit(ctx, ids[site])
    if (unit === undefined) throw new Error(`no unit at ${site}`)
    return unit
  }
  await a.replication?.present(ctx, 'unit', { '': hosts.a })
  while ((await unitAt(a, 'a')).lastConsistent.kind !== 'time') running.catchUp()
  const key = (await unitAt(a, 'a')).key
  const wwns: Record<SiteName, string[]> = { a: [], b: [] }
  for (const [site, array] of [['a', a], ['b', b]] as const) {
    const unit = await unitAt(array, site)
    wwns[site] = volumes.map((name) => {
      const identity = unit.members.find((member) => member.name === name)?.identity
      return identity?.kind === 'wwn' ? identity.wwid.replace(/^naa\./, '') : ''
    })
  }
  const hostWrite = async (site: SiteName, wwn: string, offset: number, bytes: Buffer): Promise<boolean> => {
    for (const host of [hosts.a[0].id, hosts.b[0].id]) {
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
    traits, mode, key, hosts, volumeSize: 256 * 1024 * 1024, silentMs: 3_000,
    open: connect,
    idAt: (site) => ids[site],
    async write(site, value) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      for (const wwn of wwns[site]) if (!(await hostWrite(site, wwn, 0, bytes))) return false
      return true
    },
    counters: async (site) => {
      running.catchUp()
      return volumes.map((name) => Number(sim(site).inspect(name, 0, 8).readBigUInt64LE()))
    },
    // Far from the counters: only whether the array takes it matters.
    writable: async (site) => hostWrite(site, wwns[site][0] ?? '', 65_536, Buffer.alloc(8, 1)),
    cutLink: async () => running.link.cut(),
    async restoreLink() {
      running.link.restore()
      // As the array's policy auto_recover does: what the link stopped starts again. Not what was paused, and not after a failover.
      const [one, two] = [await unitAt(await connect('a'), 'a'), await unitAt(await connect('b'), 'b')]
      for (const [site, unit, peer] of [['a', one, two], ['b', two, one]] as const) {
        if ((unit.role === 'source' || unit.role === 'demoted') && peer.role === 'target' && unit.transfer === 'interrupted') await (await connect(site)).replication?.resume(ctx, ids[site])
      }
    },
    async destroy() {
      await closeAll()
      await running.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
