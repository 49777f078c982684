/** What an iSCSI SR does on the real initiator against a real target: logins, LUNs that change, targets that go. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { attachedStand, fails, filesBelow, iqn, iscsiStand, leftOnHost, lunRow, MiB, naa, needLun, openRaw, portal, serial, sessionsNow, sr_uuid, watchingArgv } from '../fixtures/iscsi-stand.ts'
import { initiatorOf, lioTarget } from '../fixtures/lio.ts'
import { loopDevice } from '../fixtures/loop.ts'
import { blackHole } from '../fixtures/network.ts'
import { multipathDaemon } from '../fixtures/multipath.ts'
import { must, settle, tool, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const chap = { user: 'alice', password: 'first secret #1' }
const mutual = { user: 'array', password: 'second=secret$2' }
const chapConfig = { chapuser: chap.user, chappassword: chap.password }
const mutualConfig = { ...chapConfig, chapuser_in: mutual.user, chappassword_in: mutual.password }
const recordFile = `/etc/iscsi/nodes/${iqn}/${portal},3260,1/default`

export default suite({
  name: 'iscsi',
  driver: 'iscsi',
  seconds: 200,
  cases: [
    {
      name: 'a target is probed step by step, introduced, used and left, and nothing remains',
      run: async () => iscsiStand({}, async ({ engine, device_config, state }) => {
        const asked = async (config: Record<string, string>) => engine.call('SR.probe', { type: 'iscsi', device_config: config })
        assert.match((await asked({})).tried[0]?.said ?? '', /target=/)
        const [found] = (await asked({ target: portal })).candidates
        assert.deepEqual([found?.device_config['targetIQN'], found?.complete], [iqn, false])
        const inside = await asked(device_config)
        assert.deepEqual(inside.candidates.map(({ found: what, sr }) => [what, sr?.vdis]), [['adoptable', 3]])
        assert.ok(inside.tried.some(({ said }) => said.includes(`3${naa(1)}`)), JSON.stringify(inside.tried))
        assert.deepEqual(leftOnHost(state), [], 'the probe left something')
        await engine.call('SR.introduce', { sr_uuid, type: 'iscsi', device_config })
        assert.deepEqual(leftOnHost(state), [], 'registering left something')
        await engine.call('SR.attach', { sr_uuid })
        const { vdis, default_vdi_visibility } = await engine.call('SR.scan', { sr_uuid })
        assert.deepEqual([vdis.map(({ size, problem }) => [size, problem]), default_vdi_visibility], [[0, 1, 2].map(() => [32 * MiB, undefined]), false])
        const vdi = await needLun(engine, 1)
        const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid })
        assert.equal(attached.path, `/dev/disk/by-id/wwn-0x${naa(1)}`)
        const disk = await openRaw(attached)
        await disk.write(4096, Buffer.alloc(4096, 'x'))
        assert.match((await fails('busy', engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi.uuid }))).message, new RegExp(`process ${process.pid} .*has it open`))
        await disk.close()
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi.uuid })
        const reader = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid, mode: 'ro' })
        assert.notEqual((await tool(['dd', 'if=/dev/zero', `of=${reader.path}`, 'bs=4096', 'count=1', 'conv=notrunc'])).code, 0, 'a reader could write')
        const again = await openRaw(reader)
        assert.deepEqual(Buffer.from(await again.read(4096, 4096)), Buffer.alloc(4096, 'x'))
        await again.close()
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi.uuid })
        assert.equal((await must(['blockdev', '--getro', attached.path])).trim(), '0')
      }),
    },
    {
      name: 'CHAP one way and mutual lets in, no secret is in a command line, a log or a file that others may read',
      run: async () => {
        const secrets = [chap.password, mutual.password]
        await iscsiStand({ chap, mutual, config: mutualConfig }, async ({ engine, device_config, log }) => {
          const looked = await watchingArgv(secrets, async () => {
            await engine.call('SR.probe', { type: 'iscsi', device_config })
            await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config })
            assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 3)
          })
          assert.ok(looked > 20)
          assert.equal(statSync(recordFile).mode & 0o777, 0o600)
          assert.ok(secrets.every((secret) => readFileSync(recordFile, 'utf8').includes(secret)), 'the record does not hold what the login used')
          await fails('permissionDenied', engine.call('SR.probe', { type: 'iscsi', device_config: { ...device_config, chappassword: 'wrong secret 1' } }).then(({ tried }) => {
            assert.ok(tried.some(({ said }) => said.includes('logged in already')), JSON.stringify(tried))
            return engine.call('SR.detach', { sr_uuid })
          }).then(async () => engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config: { ...device_config, chappassword: 'wrong secret 1' } })))
          await fails('permissionDenied', engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config: { ...device_config, chappassword_in: 'wrong secret 2' } }))
          assert.deepEqual([...sessionsNow(), ...filesBelow('/etc/iscsi/nodes')], [], 'a refused login left something')
          for (const secret of [...secrets, 'wrong secret']) assert.ok(!log().includes(secret), 'the log shows a secret')
        })
      },
    },
    {
      name: 'a record that somebody made before, with another CHAP secret, does not get in the way and comes back as it was',
      run: async () => iscsiStand({}, async ({ engine, device_config, state }) => {
        const node = ['iscsiadm', '-m', 'node', '-T', iqn, '-p', `${portal}:3260,1`, '-I', 'default'] as const
        await must([...node, '-o', 'new'])
        for (const [name, value] of [['authmethod', 'CHAP'], ['username', 'old'], ['password', 'an old secret']] as const) await must([...node, '-o', 'update', '-n', `node.session.auth.${name}`, '-v', value])
        const before = readFileSync(recordFile, 'utf8')
        await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config })
        assert.ok(!readFileSync(recordFile, 'utf8').includes('an old secret'))
        assert.match(readFileSync(recordFile, 'utf8'), /^node\.session\.timeo\.replacement_timeout = 5$/m)
        await engine.call('SR.detach', { sr_uuid })
        assert.equal(readFileSync(recordFile, 'utf8'), before)
        await must([...node, '-o', 'delete'])
        assert.deepEqual(leftOnHost(state), [])
      }),
    },
    {
      name: 'a session that somebody else opened is used, and left to him',
      run: async () => iscsiStand({}, async ({ engine, device_config }) => {
        const node = ['iscsiadm', '-m', 'node', '-T', iqn, '-p', `${portal}:3260,1`, '-I', 'default'] as const
        await must([...node, '-o', 'new'])
        await must([...node, '--login'])
        const before = sessionsNow()
        await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config })
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 3)
        assert.deepEqual(sessionsNow(), before)
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(sessionsNow(), before)
        await must([...node, '--logout'])
        await must([...node, '-o', 'delete'])
      }),
    },
    {
      name: 'another initiator name is used for one SR only, through an interface of its own',
      run: async () => {
        const localIQN = 'iqn.2024-01.org.example:another'
        await attachedStand({ initiators: [localIQN], config: { localIQN } }, async ({ engine }) => {
          const [session = ''] = sessionsNow()
          assert.equal(readFileSync(`/sys/class/iscsi_session/${session}/initiatorname`, 'utf8').trim(), localIQN)
          assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 3)
          assert.equal(readFileSync('/etc/iscsi/initiatorname.iscsi', 'utf8').trim(), `InitiatorName=${initiatorOf('lab-a')}`)
        })
      },
    },
    {
      name: 'a target is one SR on a host, and an attached VDI is claimed',
      run: async () => attachedStand({}, async ({ engine, device_config }) => {
        const error = await fails('identityMismatch', engine.call('SR.attach', { sr_uuid: '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53', type: 'iscsi', device_config }))
        assert.ok(error.message.includes(sr_uuid))
      }),
    },
    {
      name: 'ten attaches at once start no iscsiadm at all',
      run: async () => attachedStand({ luns: Array.from({ length: 10 }, (_, number) => ({ number, size: 4 * MiB, serial: serial(number) })) }, async ({ engine, log }) => {
        const { vdis } = await engine.call('SR.scan', { sr_uuid })
        assert.equal(vdis.length, 10)
        const before = log().length
        await Promise.all(vdis.map(async ({ uuid }) => engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })))
        const runs = log().slice(before).split('\n').filter((line) => line.includes('"ran a tool"'))
        assert.deepEqual(runs.filter((line) => line.includes('"iscsiadm"')), [])
        // One question for the lock, one for the identity; udev may have to be waited for.
        assert.ok(runs.length <= 10 * 4, `${runs.length} tools were run`)
        for (const { uuid } of vdis) await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
      }),
    },
    {
      name: 'a LUN that grows is seen by the next scan',
      run: async () => {
        const loop = await loopDevice(32 * MiB)
        try {
          await attachedStand({ luns: [{ number: 0, size: 4 * MiB, serial: serial(0) }, { number: 1, device: loop.path, serial: serial(1) }] }, async ({ engine }) => {
            const before = await needLun(engine, 1)
            assert.equal(before.size, 32 * MiB)
            await loop.grow(48 * MiB)
            const after = await needLun(engine, 1)
            assert.deepEqual([after.uuid, after.size], [before.uuid, 48 * MiB])
          })
        } finally {
          await loop.dispose()
        }
      },
    },
    {
      name: 'another disk under the same number is refused, then listed as what it is; the name of the device is no proof',
      run: async () => attachedStand({}, async ({ engine, target }) => {
        const old = await needLun(engine, 2)
        const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: old.uuid })
        const node = realpathSync(attached.path)
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid: old.uuid })
        target.unmap(2)
        target.addLun({ number: 2, size: 16 * MiB, serial: serial(7) })
        await fails('identityMismatch', engine.call('VDI.attach', { sr_uuid, vdi_uuid: old.uuid }))
        const now = await needLun(engine, 7)
        assert.notEqual(now.uuid, old.uuid)
        assert.equal(now.size, 16 * MiB)
        assert.equal(await lunRow(engine, 2), undefined)
        const other = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: now.uuid })
        assert.equal(realpathSync(other.path), node, 'the kernel gave the same name to another disk: what this case is about')
        await fails('notFound', engine.call('VDI.attach', { sr_uuid, vdi_uuid: old.uuid }))
        // The same again, under a guest.
        target.unmap(2)
        target.addLun({ number: 2, size: 16 * MiB, serial: serial(8) })
        const { findings } = await engine.call('SR.verify', { sr_uuid, vdi_uuid: now.uuid })
        assert.ok(findings.some(({ weight, what }) => weight === 'damage' && what.includes('another disk')), JSON.stringify(findings))
        const missing = (await engine.call('SR.scan', { sr_uuid })).vdis.find(({ uuid }) => uuid === now.uuid)
        assert.equal(missing?.problem?.kind, 'placeMissing')
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid: now.uuid })
      }),
    },
    {
      name: 'a LUN that vanishes is missed while it is attached; its dead disk is taken away, and never read as empty',
      run: async () => attachedStand({}, async ({ engine, target }) => {
        const [used, unused] = [await needLun(engine, 1), await needLun(engine, 2)]
        const { path } = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: used.uuid })
        await settle()
        const dead = realpathSync(`/dev/disk/by-id/wwn-0x${naa(2)}`)
        target.unmap(1)
        target.unmap(2)
        const { vdis } = await engine.call('SR.scan', { sr_uuid })
        assert.equal(vdis.find(({ uuid }) => uuid === used.uuid)?.problem?.kind, 'placeMissing')
        assert.equal(vdis.find(({ uuid }) => uuid === unused.uuid), undefined)
        await waitFor('the dead disk to go', () => !existsSync(`/sys/block/${dead.slice(5)}`))
        assert.ok(existsSync(`/sys/block/${realpathSync(path).slice(5)}`), 'the disk of an attached VDI was taken away')
        await fails('imageCorrupt', engine.call('VDI.attach', { sr_uuid, vdi_uuid: used.uuid }))
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid: used.uuid })
        await engine.call('SR.scan', { sr_uuid })
        target.addLun({ number: 1, size: 32 * MiB, serial: serial(1) })
        assert.equal((await needLun(engine, 1)).problem, undefined)
      }),
    },
    {
      name: 'a target that dies: scans fail, VDI and SR are detached all the same, and a new attach says why it cannot be',
      run: async () => attachedStand({}, async ({ engine, target, device_config }) => {
        const vdi = await needLun(engine, 1)
        await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid })
        target.enable(false)
        await waitFor('the session to fail', () => readFileSync(`/sys/class/iscsi_session/${sessionsNow()[0] ?? ''}/state`, 'utf8').trim() !== 'LOGGED_IN')
        await fails('unreachable', engine.call('SR.scan', { sr_uuid }))
        await fails('unreachable', engine.call('SR.stat', { sr_uuid }))
        await fails('unreachable', engine.call('VDI.stat', { sr_uuid, vdi_uuid: vdi.uuid }))
        assert.deepEqual(await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi.uuid }), { changed: true })
        assert.deepEqual(await engine.call('SR.detach', { sr_uuid }), { changed: true })
        assert.deepEqual(sessionsNow(), [])
        await fails(['unreachable', 'placeMissing', 'permissionDenied', 'arrayFault'], engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config }))
        assert.deepEqual([...sessionsNow(), ...filesBelow('/etc/iscsi/nodes')], [], 'a failed attach left something')
        const { candidates, tried } = await engine.call('SR.probe', { type: 'iscsi', device_config })
        assert.deepEqual(candidates, [])
        assert.ok(tried.length > 0)
        target.enable(true)
        await engine.call('SR.attach', { sr_uuid })
        assert.equal((await needLun(engine, 1)).uuid, vdi.uuid)
      }),
    },
    {
      name: 'a session that somebody logged out is made again by the next call',
      run: async () => attachedStand({}, async ({ engine }) => {
        const [session = ''] = sessionsNow()
        await must(['iscsiadm', '-m', 'session', '-r', session.slice('session'.length), '-u'])
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 3)
        assert.equal(sessionsNow().length, 1)
      }),
    },
    {
      name: 'what a crash left is found as an orphan, and logged out by a repair',
      run: async () => attachedStand({}, async ({ engine, state, device_config }) => {
        const other = await lioTarget({ iqn: `${iqn}.other`, luns: [{ number: 0, size: 4 * MiB }], portals: ['127.0.0.3:3260'] })
        try {
          const second = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'
          await engine.call('SR.attach', { sr_uuid: second, type: 'iscsi', device_config: { ...device_config, target: '127.0.0.3', targetIQN: other.iqn } })
          assert.equal(sessionsNow().length, 2)
          // As if the process had died between its login and whatever it wanted there, and nobody knew of it any more.
          for (const file of [`run/iscsi-user-${second}.json`, `srs/${second}.json`]) rmSync(`${state}/${file}`)
          assert.deepEqual((await engine.call('SR.orphans', { sr_uuid })).orphans.map(({ where }) => where.includes(other.iqn)), [true])
          const { findings } = await engine.call('SR.verify', { sr_uuid, repair: 'yes' })
          assert.ok(findings.some(({ what, repaired }) => what.includes('nobody needs it') && repaired), JSON.stringify(findings))
          assert.equal(sessionsNow().length, 1)
          assert.deepEqual((await engine.call('SR.orphans', { sr_uuid })).orphans, [])
        } finally {
          await other.dispose()
        }
      }),
    },
    {
      name: 'a lock is a reservation of the array, outlives the session, and is renewed when the session is made anew',
      run: async () => attachedStand({}, async ({ engine, device_config }) => {
        const vdi = await needLun(engine, 1)
        const one = { sr_uuid, vdi_uuid: vdi.uuid }
        const lock = await engine.call('VDI.lock', { ...one, owner: 'vm1' })
        assert.match(await must(['sg_persist', '--in', '--read-reservation', `/dev/disk/by-id/wwn-0x${naa(1)}`]), /Write Exclusive, registrants only/)
        assert.deepEqual((await engine.call('VDI.stat', one)).lock, lock)
        await fails('lockUnavailable', engine.call('VDI.lock', { ...one, owner: 'vm2' }))
        await fails('lockUnavailable', engine.call('VDI.unlock', { ...one, owner: 'vm2' }))
        await fails('notSupported', engine.call('VDI.lock', { ...one, owner: 'vm1', ttl_seconds: 60 }))
        await engine.call('SR.detach', { sr_uuid })
        await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config })
        assert.deepEqual((await engine.call('VDI.stat', one)).lock, lock)
        const { path } = await engine.call('VDI.attach', one)
        await must(['dd', 'if=/dev/zero', `of=${path}`, 'bs=4096', 'count=1', 'oflag=direct', 'conv=notrunc'])
        await engine.call('VDI.detach', one)
        const taken = await engine.call('VDI.lock', { ...one, owner: 'vm2', force: true })
        assert.ok(taken.epoch > lock.epoch)
        assert.equal((await engine.call('VDI.unlock', { ...one, owner: 'vm2' })).changed, true)
        assert.equal((await engine.call('VDI.unlock', { ...one, owner: 'vm2' })).changed, false)
        assert.match(await must(['sg_persist', '--in', '--read-full-status', path]), /No full status descriptors/)
      }),
    },
    {
      name: 'two paths: a map is handed out, one path may die, both come back, and the map goes before the sessions',
      run: async () => {
        const daemon = await multipathDaemon()
        try {
          await attachedStand({ portals: [`${portal}:3260`, '127.0.0.2:3260'], config: { multipath: 'yes' } }, async ({ engine }) => {
            assert.equal(sessionsNow().length, 2)
            const vdi = await needLun(engine, 1)
            const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid })
            assert.equal(attached.path, `/dev/disk/by-id/dm-uuid-mpath-3${naa(1)}`)
            const hole = await blackHole('127.0.0.2', 3260)
            await waitFor('one session to fail', () => sessionsNow().some((name) => readFileSync(`/sys/class/iscsi_session/${name}/state`, 'utf8').trim() !== 'LOGGED_IN'))
            const disk = await openRaw(attached)
            await disk.write(0, Buffer.alloc(4096, 'y'))
            await disk.close()
            const row = await needLun(engine, 1)
            assert.equal(row.problem, undefined)
            assert.match(row.warnings?.join() ?? '', /1 of 2 paths do not work/)
            assert.ok((await engine.call('SR.verify', { sr_uuid })).findings.some(({ where, weight }) => where.includes('127.0.0.2') && weight === 'damage'))
            await hole.dispose()
            await waitFor('both sessions to be up', () => sessionsNow().every((name) => readFileSync(`/sys/class/iscsi_session/${name}/state`, 'utf8').trim() === 'LOGGED_IN'))
            const reading = await openRaw(attached)
            assert.deepEqual(Buffer.from(await reading.read(0, 4096)), Buffer.alloc(4096, 'y'))
            await reading.close()
            await engine.call('VDI.lock', { sr_uuid, vdi_uuid: vdi.uuid, owner: 'vm1' })
            assert.match(await must(['sg_persist', '--in', '--read-keys', attached.path]), /2 registered reservation keys/)
            await engine.call('VDI.unlock', { sr_uuid, vdi_uuid: vdi.uuid, owner: 'vm1' })
            await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi.uuid })
            await engine.call('SR.detach', { sr_uuid })
            assert.ok(!existsSync(attached.path))
          })
        } finally {
          await daemon.dispose()
        }
      },
    },
    {
      name: 'an SR is not pulled from under what the kernel built on its LUNs',
      run: async () => attachedStand({}, async ({ engine }) => {
        const vdi = await needLun(engine, 1)
        await settle()
        const node = realpathSync(`/dev/disk/by-id/wwn-0x${naa(1)}`)
        await must(['dmsetup', 'create', 'user'], { stdin: `0 2048 linear ${node} 0` })
        try {
          assert.match((await fails('busy', engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid }))).message, /user is built on it/)
          await fails('busy', engine.call('SR.detach', { sr_uuid }))
          assert.equal(sessionsNow().length, 1)
          assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 3)
        } finally {
          await must(['dmsetup', 'remove', '--retry', 'user'])
        }
        mkdirSync('/mnt/lab-iscsi', { recursive: true })
        await must(['mkfs.ext4', '-q', node])
        await must(['mount', node, '/mnt/lab-iscsi'])
        try {
          assert.match((await fails('busy', engine.call('SR.detach', { sr_uuid }))).message, /mounted on \/mnt\/lab-iscsi/)
          assert.match((await fails('busy', engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi.uuid }))).message, /mounted on \/mnt\/lab-iscsi/)
        } finally {
          await must(['umount', '/mnt/lab-iscsi'])
        }
      }),
    },
    {
      name: 'writing a record keeps what the administrator set in iscsid.conf, and takes no CHAP from an older record of ours',
      run: async () => iscsiStand({ chap, config: chapConfig }, async ({ engine, device_config, target }) => {
        await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config })
        await pause(0)
        await engine.call('SR.detach', { sr_uuid })
        writeFileSync(`/sys/kernel/config/target/iscsi/${target.iqn}/tpgt_1/attrib/authentication`, '0')
        const { chapuser: _, chappassword: __, ...open } = device_config
        await engine.call('SR.attach', { sr_uuid, type: 'iscsi', device_config: open })
        const text = readFileSync(recordFile, 'utf8')
        assert.ok(!text.includes(chap.password))
        assert.match(text, /^node\.conn\[0\]\.timeo\.noop_out_interval = 1$/m)
      }),
    },
  ],
})
