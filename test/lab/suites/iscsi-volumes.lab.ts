/** SRs of volumes and of files on LUNs, on the real initiator against a real target. What two hosts do to one another is in iscsi-pair. */
import assert from 'node:assert/strict'
import { readFileSync, realpathSync } from 'node:fs'
import type { Engine } from '../../../core/caller.ts'
import { fails, iscsiStand, leftOnHost, MiB, naa, openRaw, portal, serial, sessionsNow, sr_uuid, type IscsiStand } from '../fixtures/iscsi-stand.ts'
import { initiatorOf, lioTarget } from '../fixtures/lio.ts'
import { prepareLvm } from '../fixtures/lvm.ts'
import { mapsNow } from '../fixtures/lvm-stand.ts'
import { multipathDaemon } from '../fixtures/multipath.ts'
import { must, settle, tool, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const other_uuid = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'
const luns = [1, 2].map((number) => ({ number, size: 160 * MiB, serial: serial(number) }))
const id = (index: number): string => `3${naa(index)}`
const node = (index: number): string => `/dev/disk/by-id/wwn-0x${naa(index)}`

const onLuns = async (work: (stand: IscsiStand) => Promise<void>, options: Parameters<typeof iscsiStand>[0] = {}): Promise<void> => {
  await prepareLvm()
  await iscsiStand({ luns: [{ number: 0, size: 4 * MiB, serial: serial(0) }, ...luns], ...options }, async (stand) => {
    await work(stand)
    await stand.engine.call('SR.detach', { sr_uuid })
    assert.deepEqual(mapsNow(), [], 'maps are left')
  })
}

const stateOf = (session: string): string => readFileSync(`/sys/class/iscsi_session/${session}/state`, 'utf8').trim()
const sessionDown = async (): Promise<void> => void (await waitFor('the session to fail', () => sessionsNow().some((name) => stateOf(name) !== 'LOGGED_IN')))

const filled = (letter: string): Buffer => Buffer.alloc(4096, letter)

/** Writes into an attached VDI as its guest would, and reads it back in a later attachment. */
const write = async (engine: Engine, vdi_uuid: string, offset: number, letter: string): Promise<void> => {
  const disk = await openRaw(await engine.call('VDI.attach', { sr_uuid, vdi_uuid }))
  await disk.write(offset, filled(letter))
  await disk.close()
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
}
const holds = async (engine: Engine, vdi_uuid: string, offset: number, letter: string): Promise<void> => {
  const disk = await openRaw(await engine.call('VDI.attach', { sr_uuid, vdi_uuid, mode: 'ro' }))
  assert.deepEqual(Buffer.from(await disk.read(offset, 4096)), filled(letter))
  await disk.close()
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
}

const registrations = async (index: number): Promise<number> => [...(await must(['sg_persist', '--in', '--read-full-status', node(index)])).matchAll(/Key=0x48/g)].length

/** The LUN is logged in to for a moment, by nobody of ours, and given to `work`. */
const byHand = async (target: string, work: () => Promise<void>): Promise<void> => {
  await must(['iscsiadm', '-m', 'discovery', '-t', 'sendtargets', '-p', portal])
  await must(['iscsiadm', '-m', 'node', '-T', target, '--login'])
  await settle()
  try {
    await work()
  } finally {
    await settle()
    await must(['iscsiadm', '-m', 'node', '-T', target, '--logout'])
    await must(['iscsiadm', '-m', 'node', '-T', target, '-o', 'delete'])
    await must(['iscsiadm', '-m', 'discoverydb', '-t', 'sendtargets', '-p', portal, '-o', 'delete'])
  }
}

export default suite({
  name: 'iscsi-volumes',
  onlyByName: 'it was written last, and its cases have not passed all in one run yet',
  driver: 'lvmoiscsi, extoiscsi',
  cases: [
    {
      name: 'lvmoiscsi: LUNs are listed with what is on them, made into an SR, used, found again, emptied and given back blank',
      run: async () => onLuns(async ({ engine, device_config: at, state }) => {
        const type = 'lvmoiscsi'
        const [target] = (await engine.call('SR.probe', { type, device_config: { target: portal } })).candidates
        assert.equal(target?.device_config['targetIQN'], at['targetIQN'])
        const blank = (await engine.call('SR.probe', { type, device_config: at })).candidates.filter(({ found }) => found === 'blank')
        assert.deepEqual(blank.map(({ device_config }) => device_config['SCSIid']), [id(1), id(2)])
        assert.match(blank[0]?.says ?? '', new RegExp(`LUN 1 of .*SCSI id ${id(1)}, serial ${serial(1)}, 160 MiB`))
        assert.deepEqual(leftOnHost(state), [], 'the probe left something')
        const device_config = { ...at, SCSIid: `${id(1)},${id(2)}` }
        await engine.call('SR.create', { sr_uuid, type, device_config, size: 0, name: 'on LUNs' })
        assert.deepEqual(sessionsNow(), [], 'the creation left its session')
        await engine.call('SR.attach', { sr_uuid, type, device_config })
        assert.deepEqual([sessionsNow().length, await registrations(1), await registrations(2)], [1, 1, 1])
        const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 200 * MiB, name: 'over both' })
        await write(engine, vdi_uuid, 196 * MiB, 'z')
        await engine.call('VDI.resize', { sr_uuid, vdi_uuid, size: 240 * MiB })
        assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings, [])
        // Whatever else wants one of its LUNs on this host is told whose it is.
        const refused = await fails('placeNotBlank', engine.call('SR.create', { sr_uuid: other_uuid, type: 'extoiscsi', device_config: { ...at, SCSIid: id(1) }, size: 0 }))
        assert.deepEqual([refused.facts.field, refused.message.includes(sr_uuid)], ['device_config.SCSIid', true])
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(sessionsNow(), [])

        // One LUN of two is found to be a part; both are offered together.
        const [found, ...more] = (await engine.call('SR.probe', { type, device_config: at })).candidates.filter((one) => one.found === 'sr')
        assert.deepEqual([found?.sr?.uuid, found?.sr?.name, found?.complete, found?.device_config['SCSIid'], more.length], [sr_uuid, 'on LUNs', true, `${id(1)},${id(2)}`, 0])
        await fails('placeNotBlank', engine.call('SR.create', { sr_uuid: other_uuid, type: 'extoiscsi', device_config: { ...at, SCSIid: id(1) }, size: 0 }))
        assert.deepEqual(sessionsNow(), [], 'a refused creation left its session')

        // By number now: the same disks.
        await engine.call('SR.attach', { sr_uuid, type, device_config: { ...at, LUNid: '1,2' } })
        await holds(engine, vdi_uuid, 196 * MiB, 'z')
        await engine.call('VDI.delete', { sr_uuid, vdi_uuid })
        await engine.call('SR.delete', { sr_uuid })
        const after = (await engine.call('SR.probe', { type, device_config: at })).candidates
        assert.deepEqual(after.filter(({ found: what }) => what === 'blank').map(({ device_config: config }) => config['SCSIid']), [id(1), id(2)])
      }),
    },
    {
      name: 'lvmthinoiscsi: a snapshot keeps its moment, a clone goes its own way, and going back restores it',
      run: async () => onLuns(async ({ engine, device_config: at }) => {
        const type = 'lvmthinoiscsi'
        await engine.call('SR.create', { sr_uuid, type, device_config: { ...at, SCSIid: id(1) }, size: 0 })
        await engine.call('SR.attach', { sr_uuid })
        const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 64 * MiB })
        await write(engine, vdi_uuid, 8 * MiB, 'a')
        const { uuid: snapshot_uuid } = await engine.call('VDI.snapshot', { sr_uuid, vdi_uuid })
        await write(engine, vdi_uuid, 8 * MiB, 'b')
        const { uuid: clone } = await engine.call('VDI.clone', { sr_uuid, vdi_uuid: snapshot_uuid })
        await holds(engine, clone, 8 * MiB, 'a')
        await engine.call('VDI.revert', { sr_uuid, vdi_uuid, snapshot_uuid })
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(sessionsNow(), [])
        await engine.call('SR.attach', { sr_uuid })
        await holds(engine, vdi_uuid, 8 * MiB, 'a')
      }),
    },
    {
      name: 'extoiscsi: a LUN carries images with snapshots, survives detach and attach, and is refused for another SR',
      run: async () => onLuns(async ({ engine, device_config: at }) => {
        const type = 'extoiscsi'
        const device_config = { ...at, SCSIid: id(1) }
        await engine.call('SR.create', { sr_uuid, type, device_config, size: 0, name: 'files on a LUN' })
        await engine.call('SR.attach', { sr_uuid })
        const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 64 * MiB, name: 'one' })
        await engine.call('VDI.snapshot', { sr_uuid, vdi_uuid })
        await engine.call('VDI.resize', { sr_uuid, vdi_uuid, size: 80 * MiB })
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(sessionsNow(), [])
        const refused = await fails('placeNotBlank', engine.call('SR.create', { sr_uuid: other_uuid, type: 'lvmoiscsi', device_config, size: 0 }))
        assert.deepEqual([refused.facts.field, /ext4/.test(refused.message)], ['device_config.SCSIid', true])
        const wrong = await fails(['placeMissing', 'identityMismatch'], engine.call('SR.attach', { sr_uuid, type, device_config: { ...at, SCSIid: id(2) } }))
        assert.equal(wrong.facts.field, 'device_config.SCSIid')
        assert.deepEqual(sessionsNow(), [], 'a refused attach left its session')
        await engine.call('SR.attach', { sr_uuid, type, device_config })
        assert.deepEqual((await engine.call('SR.scan', { sr_uuid })).vdis.filter(({ kind }) => kind === 'disk').map(({ uuid, size }) => [uuid, size]), [[vdi_uuid, 80 * MiB]])
        assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings, [])
        for (const { uuid, kind } of (await engine.call('SR.scan', { sr_uuid })).vdis) if (kind !== 'base') await engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid })
        await engine.call('SR.delete', { sr_uuid })
        assert.deepEqual((await engine.call('SR.probe', { type, device_config })).candidates.map(({ found }) => found), ['blank'])
      }),
    },
    {
      name: 'a LUN number that leads to another disk is no SR; what holds anything or is a copy is refused, by the key that was typed',
      run: async () => onLuns(async ({ engine, device_config: at, target }) => {
        const type = 'lvmoiscsi'
        const device_config = { ...at, LUNid: '1' }
        await engine.call('SR.create', { sr_uuid, type, device_config, size: 0 })
        // The array makes a copy of LUN 1 under number 2.
        await byHand(target.iqn, async () => void (await must(['dd', `if=${node(1)}`, `of=${node(2)}`, 'bs=1M', 'oflag=direct', 'iflag=direct'])))
        const copied = await fails('identityMismatch', engine.call('SR.attach', { sr_uuid, type, device_config }))
        assert.deepEqual([copied.facts.field, copied.facts.remedy?.includes(`smctl sr reidentify lvmoiscsi ${sr_uuid} LUNid=`)], ['device_config.LUNid', true])
        await engine.call('SR.reidentify', { sr_uuid: other_uuid, original_uuid: sr_uuid, type, device_config: { ...at, LUNid: '2' } })
        await engine.call('SR.attach', { sr_uuid, type, device_config })
        await engine.call('SR.attach', { sr_uuid: other_uuid })
        assert.equal(sessionsNow().length, 1, 'the session is shared')
        await engine.call('SR.detach', { sr_uuid: other_uuid })
        assert.equal(sessionsNow().length, 1)
        await engine.call('SR.detach', { sr_uuid })

        target.unmap(1)
        target.addLun({ number: 1, size: 160 * MiB, serial: serial(7) })
        await fails(['placeMissing', 'notFound', 'identityMismatch'], engine.call('SR.attach', { sr_uuid, type, device_config }))
        assert.deepEqual(sessionsNow(), [], 'a refused attach left its session')
        assert.match((await fails('placeMissing', engine.call('SR.attach', { sr_uuid, type, device_config: { ...at, SCSIid: id(1) } }))).message, new RegExp(id(7)))
        for (const wrong of [at, { ...at, LUNid: '1,1' }, { ...at, LUNid: '1', SCSIid: id(1) }]) await fails('invalidArgument', engine.call('SR.attach', { sr_uuid, type, device_config: wrong }))
        await byHand(target.iqn, async () => void (await must(['mkfs.ext4', '-q', node(7)])))
        const held = await fails('placeNotBlank', engine.call('SR.create', { sr_uuid: other_uuid.replace('0b', '1b'), type, device_config, size: 0 }))
        assert.deepEqual([held.facts.field, /ext4/.test(held.message)], ['device_config.LUNid', true])
        assert.deepEqual(sessionsNow(), [])
      }),
    },
    {
      name: 'a target that dies under a volume: calls end and say so, another SR goes on, everything is detached, and nothing of it stays',
      run: async () => onLuns(async ({ engine, device_config: at, target, log }) => {
        const second = await lioTarget({ iqn: `${target.iqn}.second`, luns: [{ number: 0, size: 4 * MiB, serial: serial(8) }, { number: 1, size: 64 * MiB, serial: serial(9) }], portals: ['127.0.0.3:3260'], initiators: [initiatorOf('lab-a')] })
        try {
          const type = 'lvmoiscsi'
          await engine.call('SR.create', { sr_uuid, type, device_config: { ...at, SCSIid: id(1) }, size: 0 })
          await engine.call('SR.attach', { sr_uuid })
          await engine.call('SR.create', { sr_uuid: other_uuid, type, device_config: { ...at, target: '127.0.0.3', targetIQN: second.iqn, SCSIid: id(9) }, size: 0 })
          await engine.call('SR.attach', { sr_uuid: other_uuid })
          const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 32 * MiB })
          const { path } = await engine.call('VDI.attach', { sr_uuid, vdi_uuid })
          target.enable(false)
          await sessionDown()
          const reading = tool(['dd', `if=${path}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct'])
          const failures = await Promise.all([
            fails('unreachable', engine.call('SR.scan', { sr_uuid })),
            fails('unreachable', engine.call('VDI.create', { sr_uuid, size: 4 * MiB })),
            fails('unreachable', engine.call('VDI.resize', { sr_uuid, vdi_uuid, size: 64 * MiB })),
            engine.call('VDI.create', { sr_uuid: other_uuid, size: 4 * MiB }).then(() => undefined),
          ])
          assert.ok(failures.slice(0, 3).every((error) => error?.message.includes(target.iqn)), JSON.stringify(failures.map((error) => error?.message)))
          assert.notEqual((await reading).code, 0)
          await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
          await engine.call('SR.detach', { sr_uuid })
          assert.equal(sessionsNow().length, 1)
          assert.ok(!mapsNow().some((name) => name.includes(sr_uuid.replaceAll('-', '--'))))
          // An attach of a dead target says so, and leaves nothing.
          await fails(['unreachable', 'placeMissing', 'permissionDenied', 'arrayFault'], engine.call('SR.attach', { sr_uuid }))
          assert.equal(sessionsNow().length, 1)
          assert.equal((await engine.call('SR.scan', { sr_uuid: other_uuid })).vdis.length, 1)
          await engine.call('SR.detach', { sr_uuid: other_uuid })
          target.enable(true)
          await engine.call('SR.attach', { sr_uuid })
          assert.deepEqual((await engine.call('SR.scan', { sr_uuid })).vdis.map(({ uuid }) => uuid), [vdi_uuid])
          assert.ok(!log().includes('driverBug'))
          await engine.call('SR.detach', { sr_uuid })
        } finally {
          await second.dispose()
        }
      }),
    },
    {
      name: 'extoiscsi: a target that dies under a mount: the SR is detached, and the journal brings it back',
      run: async () => onLuns(async ({ engine, device_config: at, target }) => {
        const type = 'extoiscsi'
        await engine.call('SR.create', { sr_uuid, type, device_config: { ...at, SCSIid: id(1) }, size: 0 })
        await engine.call('SR.attach', { sr_uuid })
        const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 32 * MiB })
        await engine.call('VDI.attach', { sr_uuid, vdi_uuid })
        target.enable(false)
        await sessionDown()
        await fails('unreachable', engine.call('VDI.create', { sr_uuid, size: 4 * MiB }))
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
        await waitFor('I/O to fail instead of waiting', () => sessionsNow().every((name) => stateOf(name) === 'FREE'))
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(sessionsNow(), [])
        target.enable(true)
        await engine.call('SR.attach', { sr_uuid })
        assert.deepEqual((await engine.call('SR.scan', { sr_uuid })).vdis.map(({ uuid, problem }) => [uuid, problem]), [[vdi_uuid, undefined]])
        assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings, [])
      }),
    },
    {
      name: 'two paths: volumes stand on the map, the same disk twice is no copy, every path is registered, and the map goes before the sessions',
      run: async () => {
        const daemon = await multipathDaemon()
        try {
          await onLuns(async ({ engine, device_config: at }) => {
            for (const type of ['lvmoiscsi', 'extoiscsi']) {
              await engine.call('SR.create', { sr_uuid, type, device_config: { ...at, SCSIid: id(1) }, size: 0 })
              await engine.call('SR.attach', { sr_uuid })
              const { uuid: vdi_uuid } = await engine.call('VDI.create', { sr_uuid, size: 16 * MiB })
              assert.equal(sessionsNow().length, 2)
              const map = realpathSync(`/dev/disk/by-id/dm-uuid-mpath-${id(1)}`)
              assert.equal([...(await must(['sg_persist', '--in', '--read-full-status', map])).matchAll(/Key=0x48/g)].length, 2)
              assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings, [])
              assert.equal((await engine.call('SR.stat', { sr_uuid })).warnings, undefined)
              await engine.call('VDI.delete', { sr_uuid, vdi_uuid })
              await engine.call('SR.delete', { sr_uuid })
              assert.deepEqual(sessionsNow(), [])
            }
          }, { portals: [`${portal}:3260`, '127.0.0.2:3260'], config: { multipath: 'yes' } })
        } finally {
          await daemon.dispose()
        }
      },
    },
  ],
})
