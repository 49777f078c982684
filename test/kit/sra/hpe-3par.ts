/** The play on the 3PAR-class driver and two simulated arrays: groups only, in each direction, found by their WWN. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../core/array/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import type { Access, Settings } from '../../../drivers/array-replication/hpe-3par/connection.ts'
import hpe3par from '../../../drivers/array-replication/hpe-3par/hpe-3par.array.ts'
import { openArray } from '../../../drivers/array-replication/hpe-3par/open.ts'
import { startArrays, type RunningArray } from '../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { createMachine, ctxOn, type SiteName } from '../replication/world.ts'
import { otherSite, type NewPlayWorld } from './world.ts'

const hosts = { a: { type: 'iSCSI', id: 'iqn.2026-01.test:host-a' }, b: { type: 'iSCSI', id: 'iqn.2026-01.test:host-b' } } as const
const units = [{ name: 'mail', from: 'a', volumes: ['mail-0', 'mail-1'] }, { name: 'shop', from: 'b', volumes: ['shop-0'] }] as const

/** The arrays' clocks run so many times faster than ours: their times have whole seconds. */
const haste = 50
const begun = Date.now()
const now = (): number => begun + (Date.now() - begun) * haste

const accessTo = (sim: RunningArray): Access => ({ url: sim.url, user: sim.user, password: sim.password, tls: { fingerprint: sim.certificate.fingerprint }, iscsiIps: [] })

export const hpe3parPlay: NewPlayWorld = async () => {
  const root = mkdtempSync(join(tmpdir(), '3par-play-'))
  const ctx = ctxOn(createMachine('maker'))
  const running = await startArrays({ arrays: [{ maxSessions: 1_000_000 }, { maxSessions: 1_000_000 }], stateDirectory: root, keepAlive: true, now, durations: { copyMs: 100, promoteMs: 100, syncMs: 0 } })
  const sim = (site: SiteName): RunningArray => {
    const found = running.arrays[site === 'a' ? 0 : 1]
    if (found === undefined) throw new Error(`no array ${site}`)
    return found
  }
  const open = new Set<OpenArray>()
  const connect = async (site: SiteName): Promise<OpenArray> => {
    const other = sim(otherSite(site))
    const settings: Settings = {
      access: accessTo(sim(site)), cpg: 'SSD_r6', snapCpg: 'FC_r5',
      peer: { target: other.name, mode: 'periodic', periodSeconds: 31_622_400, cpgMap: new Map([['SSD_r6', 'SSD_r6']]), snapCpgMap: new Map([['FC_r5', 'FC_r5']]), access: accessTo(other) },
    }
    const array = await openArray(ctx, settings, { pauses: [5], secondMs: 25 })
    const opened = { ...array, close: async () => { open.delete(opened); await array.close() } }
    open.add(opened)
    return opened
  }
  const wwns = new Map<string, readonly string[]>()
  const arrays = { a: await connect('a'), b: await connect('b') }
  const idAt = (site: SiteName, unit: (typeof units)[number]): string => (site === unit.from ? unit.name : `${unit.name}.r${sim(unit.from).id}`)
  for (const unit of units) {
    const array = arrays[unit.from]
    for (const name of unit.volumes) await array.create(ctx, { name, size: 256 * 1024 * 1024, provisioning: 'thin' })
    await array.replication?.create?.(ctx, { name: unit.name, kind: 'group', peer: sim(otherSite(unit.from)).name, mode: 'periodic', volumes: unit.volumes })
    await array.replication?.present(ctx, unit.name, { '': [{ kind: 'iscsi', id: hosts[unit.from].id }] })
    while ((await array.replication?.unit(ctx, unit.name))?.lastConsistent.kind !== 'time') running.catchUp()
    for (const site of ['a', 'b'] as const) {
      const shown = await arrays[site].replication?.unit(ctx, idAt(site, unit))
      wwns.set(`${site}/${unit.name}`, unit.volumes.map((name) => {
        const identity = shown?.members.find((member) => member.name === name)?.identity
        return identity?.kind === 'wwn' ? identity.wwid.replace(/^naa\./, '') : ''
      }))
    }
  }
  const write = async (site: SiteName, wwn: string, offset: number, bytes: Buffer): Promise<boolean> => {
    for (const host of [hosts.a.id, hosts.b.id]) {
      try {
        await sim(site).write({ host, wwn }, offset, bytes)
        return true
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
      }
    }
    return false
  }
  const at = (site: SiteName, unit: string): readonly string[] => wwns.get(`${site}/${unit}`) ?? []
  const arrayIds = { a: (await arrays.a.info(ctx)).id, b: (await arrays.b.info(ctx)).id }
  return {
    driver: hpe3par, units: units.map(({ name, from }) => ({ name, kind: 'group', from })), arrayIds, hosts,
    open: connect,
    async write(site, unit, value) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      for (const wwn of at(site, unit)) if (!(await write(site, wwn, 0, bytes))) return false
      return true
    },
    counters: async (site, unit) => {
      running.catchUp()
      return (units.find(({ name }) => name === unit)?.volumes ?? []).map((name) => Number(sim(site).inspect(name, 0, 8).readBigUInt64LE()))
    },
    // Far from the counters: only whether the array takes it matters.
    writable: async (site, unit) => write(site, at(site, unit)[0] ?? '', 65_536, Buffer.alloc(8, 1)),
    cutLink: async () => running.link.cut(),
    restoreLink: async () => running.link.restore(),
    async destroy() {
      await Promise.all([...open].map(async (array) => array.close()))
      await running.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
