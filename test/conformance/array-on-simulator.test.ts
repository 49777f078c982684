/** SRs on simulated arrays through their own driver, all but the attaching, which the lab does: what is made on both arrays, and how many requests it takes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { composeEngine } from '../../cli/compose.ts'
import type { Engine } from '../../core/caller.ts'
import { startArrays, type RunningArray, type RunningArrays } from '../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { silentLog } from '../../host/log.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { login, type Client } from '../drivers/array-replication/simulator/plain-client.ts'

const MiB = 2 ** 20
const plain = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const replicated = '2b4e28ba-2fa1-41d2-883f-0016d3cca427'

let place: string
let running: RunningArrays
let engine: Engine
let clients: readonly [Client, Client]

const arrays = (): readonly [RunningArray, RunningArray] => {
  const [a, b] = running.arrays
  if (a === undefined || b === undefined) throw new Error('two arrays are needed')
  return [a, b]
}

const bare = ({ certificate }: RunningArray): string => certificate.fingerprint.replaceAll(':', '').replace(/^sha256/i, '')

const connectionOf = (own: RunningArray, peer: RunningArray): Record<string, string> => ({
  hpe3par_api_url: own.url, hpe3par_username: own.user, hpe3par_password: own.password, hpe3par_cpg: 'SSD_r6', hpe3par_snapcpg: 'FC_r5', hpe3par_fingerprint: own.certificate.fingerprint,
  replication_device: [
    `backend_id:${peer.name}`, 'replication_mode:synchronous', 'cpg_map:SSD_r6:SSD_r6', 'snap_cpg_map:FC_r5:FC_r5', `hpe3par_api_url:${peer.url}`, `hpe3par_username:${peer.user}`,
    `hpe3par_password:${peer.password}`, `hpe3par_fingerprint:${bare(peer)}`,
  ].join(', '),
})

const namesIn = async (client: Client, path: string): Promise<readonly string[]> =>
  (((await client.get(path)).body as { readonly members?: readonly { readonly name?: string }[] } | undefined)?.members ?? []).flatMap(({ name }) => name ?? []).toSorted()

const requestsOf = async (work: () => Promise<unknown>): Promise<number> => {
  const count = (): number => running.arrays.reduce((sum, array) => sum + Object.values(array.requests()).reduce((all, one) => all + one, 0), 0)
  const before = count()
  await work()
  return count() - before
}

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'array-sr-'))
  running = await startArrays({ arrays: 2, stateDirectory: join(place, 'arrays'), keepAlive: true, durations: { copyMs: 10, promoteMs: 10, syncMs: 0 } })
  engine = await composeEngine({ stateDirectory: join(place, 'state'), log: silentLog, scanner: createDirectScanner() })
  const [a, b] = arrays()
  clients = [await login(a), await login(b)]
  await engine.call('Array.add', { name: 'left', type: 'hpe-3par', device_config: connectionOf(a, b) })
  await engine.call('Array.add', { name: 'right', type: 'hpe-3par', device_config: connectionOf(b, a) })
})

afterAll(async () => {
  await engine.close()
  await running.close()
  rmSync(place, { recursive: true, force: true })
})

describe('an SR on a 3PAR-class array', { timeout: 120_000 }, () => {
  it('makes, copies, names, locks and deletes VDIs, and leaves nothing on the array', async () => {
    await engine.call('SR.create', { sr_uuid: plain, type: 'array', device_config: { backend: 'left', cpg: 'SSD_r6' }, name: 'Disks' })
    await engine.call('SR.attach', { sr_uuid: plain })
    const vdi = await engine.call('VDI.create', { sr_uuid: plain, size: 256 * MiB, name: 'data', description: 'x'.repeat(2000) })
    const snapshot = await engine.call('VDI.snapshot', { sr_uuid: plain, vdi_uuid: vdi.uuid })
    const clone = await engine.call('VDI.clone', { sr_uuid: plain, vdi_uuid: snapshot.uuid })
    await engine.call('VDI.revert', { sr_uuid: plain, vdi_uuid: vdi.uuid, snapshot_uuid: snapshot.uuid })
    await engine.call('VDI.resize', { sr_uuid: plain, vdi_uuid: clone.uuid, size: 512 * MiB })
    await engine.call('VDI.lock', { sr_uuid: plain, vdi_uuid: vdi.uuid, owner: 'vm1' })
    const { vdis } = await engine.call('SR.scan', { sr_uuid: plain })
    expect(Object.fromEntries(vdis.map(({ uuid, kind, size, locked, problem }) => [uuid, [kind, size, locked, problem]]))).toEqual({
      [vdi.uuid]: ['disk', 256 * MiB, true, undefined], [snapshot.uuid]: ['snapshot', 256 * MiB, false, undefined], [clone.uuid]: ['disk', 512 * MiB, false, undefined],
    })
    await engine.call('VDI.unlock', { sr_uuid: plain, vdi_uuid: vdi.uuid, owner: 'vm1' })
    await engine.call('VDI.delete', { sr_uuid: plain, vdi_uuid: vdi.uuid })
    expect((await engine.call('SR.orphans', { sr_uuid: plain })).orphans).toHaveLength(1)
    for (const { uuid } of [snapshot, clone]) await engine.call('VDI.delete', { sr_uuid: plain, vdi_uuid: uuid })
    expect((await engine.call('SR.orphans', { sr_uuid: plain })).orphans).toEqual([])
    await engine.call('SR.delete', { sr_uuid: plain })
    expect([await namesIn(clients[0], '/volumes'), await namesIn(clients[0], '/volumesets')]).toEqual([[], []])
  })

  it('is on both arrays when it is replicated, and so is the end of it', async () => {
    const device_config = { backend: 'left', peer: 'right', cpg: 'SSD_r6', group: 'Test_RCG', replication_mode: 'synchronous' }
    await engine.call('SR.create', { sr_uuid: replicated, type: 'array', device_config })
    await engine.call('SR.attach', { sr_uuid: replicated })
    const [one, two] = [await engine.call('VDI.create', { sr_uuid: replicated, size: 256 * MiB }), await engine.call('VDI.create', { sr_uuid: replicated, size: 256 * MiB })]
    const volumes = await Promise.all(clients.map(async (client) => namesIn(client, '/volumes')))
    expect(volumes[0]).toHaveLength(2)
    expect(volumes[1]).toEqual(volumes[0])
    expect(await namesIn(clients[1], '/remotecopygroups')).toEqual([`Test_RCG.r${arrays()[0].id}`])
    const clone = await engine.call('VDI.clone', { sr_uuid: replicated, vdi_uuid: one.uuid })
    expect(await namesIn(clients[1], '/volumes')).toHaveLength(3)
    await engine.call('VDI.resize', { sr_uuid: replicated, vdi_uuid: two.uuid, size: 512 * MiB })
    expect((await engine.call('SR.verify', { sr_uuid: replicated })).findings).toEqual([])
    for (const { uuid } of [one, two, clone]) await engine.call('VDI.delete', { sr_uuid: replicated, vdi_uuid: uuid })
    for (const client of clients) for (const path of ['/volumes', '/remotecopygroups']) expect(await namesIn(client, path)).toEqual([])
    await engine.call('SR.delete', { sr_uuid: replicated })
    for (const client of clients) expect(await namesIn(client, '/volumesets')).toEqual([])
  })

  it('takes everything back when the group cannot be had', async () => {
    const device_config = { backend: 'left', peer: 'right', cpg: 'SSD_r6', group: 'Test_RCG', replication_mode: 'synchronous' }
    await engine.call('SR.create', { sr_uuid: replicated, type: 'array', device_config })
    await engine.call('SR.attach', { sr_uuid: replicated })
    for (const match of ['POST /remotecopygroups', 'PUT /remotecopygroups/*']) {
      const plan = arrays()[0].fault({ match, effect: 'error', status: 500, code: 1 })
      await expect(engine.call('VDI.create', { sr_uuid: replicated, size: 256 * MiB })).rejects.toThrow()
      plan.release()
      for (const client of clients) for (const path of ['/volumes', '/remotecopygroups']) expect(await namesIn(client, path), `${match} ${path}`).toEqual([])
      expect((await engine.call('SR.scan', { sr_uuid: replicated })).vdis).toEqual([])
    }
    await engine.call('SR.delete', { sr_uuid: replicated })
  })

  it('scans with a handful of requests, however many volumes the array has', async () => {
    await engine.call('SR.create', { sr_uuid: plain, type: 'array', device_config: { backend: 'left', cpg: 'SSD_r6' } })
    await engine.call('SR.attach', { sr_uuid: plain })
    for (let index = 0; index < 3; index += 1) await engine.call('VDI.create', { sr_uuid: plain, size: 256 * MiB })
    const scan = async (): Promise<unknown> => engine.call('SR.scan', { sr_uuid: plain })
    await scan()
    const few = await requestsOf(scan)
    for (let index = 0; index < 997; index += 1) await clients[0].post('/volumes', { name: `other-${index}`, cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
    expect(await requestsOf(scan)).toBe(few)
    expect(few).toBeLessThanOrEqual(14)
  }, 300_000)
})
