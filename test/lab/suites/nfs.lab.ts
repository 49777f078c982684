/** What an NFS SR does when its server, its export or its mount misbehave, on the real client and the real server. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Engine } from '../../../core/caller.ts'
import { StorageError } from '../../../core/errors.ts'
import { blackHole } from '../fixtures/network.ts'
import { nfsServer, type NfsServer, type NfsServerOptions, type NfsVersion } from '../fixtures/nfs.ts'
import { logbook, realEngine, srMounts } from '../fixtures/real-world.ts'
import { must } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const MiB = 2 ** 20
const disk = '/dev/disk/by-id/virtio-labdisk0'
const sr_uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi_uuid = '98de866e-b035-4b1a-a571-613bff542b89'
const permitted = 'rw,sync,no_subtree_check,no_root_squash,insecure'

let states = 0

interface Stand {
  readonly server: NfsServer
  readonly engine: Engine
  readonly state: string
  readonly device_config: Record<string, string>
  readonly log: () => string
}

/** A server with one export and an engine that knows nothing yet; nothing of either is left afterwards. */
const stand = async (options: Partial<NfsServerOptions> & { readonly version?: NfsVersion; readonly more?: Record<string, string> }, work: (stand: Stand) => Promise<void>): Promise<void> => {
  states += 1
  const { version = '4.2', more = {}, ...rest } = options
  const server = await nfsServer({ device: disk, exports: [{ name: 'sr', options: permitted }], ...(version === '3' ? { versions: ['3', '4.0', '4.1', '4.2'] } : {}), ...rest })
  const state = `/run/lab-nfs-${states}`
  const book = logbook()
  const engine = await realEngine(state, book.log)
  const [, serverpath = ''] = server.remote('sr', version).split(':')
  try {
    await work({ server, engine, state, log: book.text, device_config: { server: '127.0.0.1', serverpath, ...(version === '3' ? { nfsversion: '3' } : {}), ...more } })
  } finally {
    await server.start().catch(() => undefined)
    await engine.call('SR.detach', { sr_uuid }).catch(() => undefined)
    await engine.close()
    assert.deepEqual(srMounts(state), [], 'a mount of the SR is left')
    rmSync(state, { recursive: true, force: true })
    await server.dispose()
  }
}

const attached = async (options: Parameters<typeof stand>[0], work: (stand: Stand) => Promise<void>): Promise<void> =>
  stand(options, async (given) => {
    const { engine, device_config } = given
    await engine.call('SR.create', { sr_uuid, type: 'nfs', device_config, name: 'shared' })
    await engine.call('SR.attach', { sr_uuid })
    await work(given)
  })

const failing = async (work: Promise<unknown>): Promise<{ readonly error: StorageError; readonly ms: number }> => {
  const started = performance.now()
  const error = await work.then(() => undefined, (thrown: unknown) => thrown)
  assert.ok(error instanceof StorageError, `it did not fail as it should: ${String(error)}`)
  assert.ok(error.facts.remedy !== undefined, `${error.message} has no remedy`)
  return { error, ms: performance.now() - started }
}

const lives = async ({ engine, state, device_config }: Stand): Promise<void> => {
  await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 64 * MiB, name: 'root' })
  const snapshot = await engine.call('VDI.snapshot', { sr_uuid, vdi_uuid, name: 'before' })
  await engine.call('VDI.lock', { sr_uuid, vdi_uuid, owner: 'vm1' })
  const { vdis, name } = await engine.call('SR.scan', { sr_uuid })
  assert.equal(name, 'shared')
  assert.deepEqual(new Set(vdis.map((vdi) => `${vdi.uuid} ${vdi.kind} ${vdi.locked}`)), new Set([`${vdi_uuid} disk true`, `${snapshot.uuid} snapshot false`]))
  assert.equal(srMounts(state).length, 1)
  await engine.call('VDI.unlock', { sr_uuid, vdi_uuid, owner: 'vm1' })
  await engine.call('SR.detach', { sr_uuid })
  assert.deepEqual(srMounts(state), [])
  assert.deepEqual(await engine.call('SR.detach', { sr_uuid }), { changed: false })
  await engine.call('SR.forget', { sr_uuid })
  const { candidates } = await engine.call('SR.probe', { type: 'nfs', device_config })
  assert.deepEqual(candidates.find((found) => found.found === 'sr')?.sr, { uuid: sr_uuid, name: 'shared', description: '', vdis: 2 })
  await engine.call('SR.introduce', { type: 'nfs', device_config })
  await engine.call('SR.attach', { sr_uuid })
  assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 2)
  const refused = await failing(engine.call('SR.create', { sr_uuid: '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53', type: 'nfs', device_config: { ...device_config, serverpath: `${device_config['serverpath'] ?? ''}/none` } }))
  assert.equal(refused.error.kind, 'placeMissing')
}

/** Calls another SR all the while, and answers how often. */
const meanwhile = async <T>(engine: Engine, sr: string, work: () => Promise<T>): Promise<{ readonly result: T; readonly calls: number }> => {
  let ended = false
  let calls = 0
  const other = (async () => {
    while (!ended) {
      await engine.call('SR.scan', { sr_uuid: sr })
      calls += 1
      await pause(20)
    }
  })()
  try {
    return { result: await work(), calls }
  } finally {
    ended = true
    await other
  }
}

export default suite({
  name: 'nfs',
  driver: 'nfs',
  seconds: 150,
  disks: [512 * MiB],
  cases: [
    { name: 'an SR is made, used, left, found and introduced again over version 4.2', run: async () => attached({}, lives) },
    { name: 'an SR is made, used, left, found and introduced again over version 3', run: async () => attached({ version: '3' }, lives) },
    {
      name: 'the exports of a server are listed, with and without a mount daemon',
      run: async () => {
        await stand({}, async ({ engine }) => {
          const { candidates, tried } = await engine.call('SR.probe', { type: 'nfs', device_config: { server: '127.0.0.1' } })
          assert.ok(candidates.some(({ device_config }) => device_config['serverpath'] === '/sr'), JSON.stringify({ candidates, tried }))
        })
        await stand({ version: '3' }, async ({ engine, server }) => {
          const { candidates } = await engine.call('SR.probe', { type: 'nfs', device_config: { server: '127.0.0.1', nfsversion: '3' } })
          assert.ok(candidates.some(({ device_config }) => device_config['serverpath'] === server.folder('sr')), JSON.stringify(candidates))
        })
      },
    },
    {
      name: 'an export that permits too little is refused, by the step it refuses and with the line for the server',
      run: async () => {
        for (const [options, kind, says, remedy] of [
          ['ro,sync,no_subtree_check,no_root_squash,insecure', 'readOnly', /make a directory/, /with rw/],
          ['rw,sync,no_subtree_check,root_squash,insecure', 'permissionDenied', /make a directory/, /no_root_squash/],
        ] as const) {
          // Over version 4 the options of the root export would hold: it lies on the same file system.
          await stand({ version: '3', exports: [{ name: 'sr', options }] }, async ({ engine, device_config, server }) => {
            const { error } = await failing(engine.call('SR.create', { sr_uuid, type: 'nfs', device_config }))
            assert.equal(error.kind, kind)
            assert.match(error.message, says)
            assert.match(error.facts.remedy ?? '', remedy)
            assert.deepEqual(readdirSync(server.folder('sr')), [])
          })
        }
      },
    },
    {
      name: 'a wrong path, a server that refuses and one that is silent each have their own error, and the silent one costs seconds',
      run: async () => stand({}, async ({ engine, device_config, server }) => {
        assert.equal((await failing(engine.call('SR.create', { type: 'nfs', device_config: { ...device_config, serverpath: '/nowhere' } }))).error.kind, 'placeMissing')
        const refused = await failing(engine.call('SR.create', { type: 'nfs', device_config: { ...device_config, port: '2050' } }))
        assert.match(refused.error.message, /refuses connections/)
        const hole = await blackHole('127.0.0.1', 2049)
        try {
          const silent = await failing(engine.call('SR.create', { type: 'nfs', device_config }))
          assert.equal(silent.error.kind, 'unreachable')
          assert.ok(silent.ms < 60_000, `it took ${silent.ms} ms`)
        } finally {
          await hole.dispose()
        }
        assert.deepEqual(readdirSync(server.folder('sr')), [])
      }),
    },
    {
      name: 'a server that stops during calls costs each of them its deadline, and another SR nothing',
      timeoutMs: 600_000,
      run: async () => attached({}, async ({ engine, server }) => {
        const other = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'
        mkdirSync('/run/lab-other', { recursive: true })
        await engine.call('SR.create', { sr_uuid: other, type: 'file', device_config: { location: '/run/lab-other/sr' } })
        await engine.call('SR.attach', { sr_uuid: other })
        for (let index = 0; index < 20; index += 1) await engine.call('VDI.create', { sr_uuid, size: 4 * MiB })
        await server.stop()
        for (const [name, call] of [
          ['create', async () => engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })],
          ['scan', async () => engine.call('SR.scan', { sr_uuid })],
        ] as const) {
          const { result: { error, ms }, calls } = await meanwhile(engine, other, () => failing(call()))
          assert.ok(['unreachable', 'outcomeUnknown'].includes(error.kind), `${name}: ${error.kind}: ${error.message}`)
          assert.ok(error.message.includes('127.0.0.1') && error.facts.layer !== undefined, `${name} does not say where: ${error.facts.layer ?? 'no layer'}: ${error.message}`)
          assert.ok(ms < 120_000, `${name} took ${ms} ms`)
          // Each of them waits for a second at least, in which another SR answers in some tens of milliseconds.
          assert.ok(calls >= 5, `the other SR answered ${calls} calls only while ${name} waited`)
          console.error(`${name} ended after ${Math.round(ms)} ms, ${calls} calls of another SR meanwhile: ${error.message}`)
        }
        await server.start()
        const { vdis } = await engine.call('SR.scan', { sr_uuid })
        assert.ok(vdis.length >= 20)
        assert.ok(vdis.every((vdi) => vdi.problem === undefined), JSON.stringify(vdis.filter((vdi) => vdi.problem !== undefined)))
        await engine.call('SR.detach', { sr_uuid: other })
        await engine.call('SR.forget', { sr_uuid: other })
        rmSync('/run/lab-other', { recursive: true })
      }),
    },
    {
      name: 'an SR is detached while its server is dead',
      run: async () => attached({}, async ({ engine, server, state }) => {
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })
        await server.stop()
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(srMounts(state), [])
        assert.deepEqual(await engine.call('SR.detach', { sr_uuid }), { changed: false })
        const { error } = await failing(engine.call('SR.attach', { sr_uuid }))
        assert.equal(error.kind, 'unreachable')
        await server.start()
        await engine.call('SR.attach', { sr_uuid })
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 1)
      }),
    },
    {
      name: 'a mount that was taken away makes calls fail, and never looks like an empty SR',
      run: async () => attached({}, async ({ engine, state }) => {
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })
        for (const path of srMounts(state)) await must(['umount', path])
        const { error } = await failing(engine.call('SR.scan', { sr_uuid }))
        assert.equal(error.kind, 'placeMissing')
        await engine.call('SR.detach', { sr_uuid })
        await engine.call('SR.attach', { sr_uuid })
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 1)
      }),
    },
    {
      name: 'a replaced export (stale file handle) is told, and mounted anew when nobody uses it',
      run: async () => attached({}, async ({ engine, server, log }) => {
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })
        const folder = server.folder('sr')
        await must(['cp', '-a', folder, `${folder}.new`])
        renameSync(folder, `${folder}.old`)
        renameSync(`${folder}.new`, folder)
        rmSync(`${folder}.old`, { recursive: true })
        await server.exportAll()
        const { error } = await failing(engine.call('SR.scan', { sr_uuid }))
        assert.equal(error.kind, 'unreachable', error.message)
        assert.match(error.message, /stale/i)
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 1)
        assert.match(log(), /mounting it anew/)
      }),
    },
  ],
})
