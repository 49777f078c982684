/** The lab proves itself before anybody relies on it; its cases are also the shortest examples of each fixture. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { assertClean, leftovers } from '../fixtures/clean.ts'
import { faultyDisk } from '../fixtures/faulty-disk.ts'
import { iscsiInitiator } from '../fixtures/iscsi.ts'
import { lioTarget } from '../fixtures/lio.ts'
import { loopDevice } from '../fixtures/loop.ts'
import { fillPool, poolUse, prepareLvm, thinPool, thinVolume, volumeGroup } from '../fixtures/lvm.ts'
import { multipathDaemon } from '../fixtures/multipath.ts'
import { blackHole } from '../fixtures/network.ts'
import { nfsServer, type NfsVersion } from '../fixtures/nfs.ts'
import { scsiDisk } from '../fixtures/scsi-debug.ts'
import { tgtTarget } from '../fixtures/tgt.ts'
import { having, labDisk, must, readIfThere, settle, sizeOf, tool, unmount, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const MiB = 1024 * 1024

const read = (device: string, more: readonly string[] = []) => tool(['dd', `if=${device}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct', ...more])

const mountNfs = async (remote: string, version: NfsVersion, use: (point: string) => Promise<void>): Promise<void> => {
  const point = '/mnt/lab-nfs'
  mkdirSync(point, { recursive: true })
  await must(['mount', '-t', 'nfs', '-o', `vers=${version},retry=0,soft,timeo=100,retrans=3`, remote, point])
  try {
    await use(point)
  } finally {
    await unmount(point)
  }
}

export default suite({
  name: 'lab-self',
  driver: 'lab',
  disks: [512 * MiB, 512 * MiB],
  cases: [
    {
      name: 'the guest is a machine of its own, with the blank disks that were asked for',
      async run() {
        assert.equal(hostname(), 'lab-a')
        for (const index of [0, 1]) assert.equal(await sizeOf(labDisk(index)), 512 * MiB)
        assert.equal((await must(['wipefs', labDisk(0)])).trim(), '')
        assert.match(readFileSync('/proc/version', 'utf8'), /Debian/)
      },
    },
    {
      name: 'what is left behind is seen',
      async run() {
        const loop = await loopDevice(8 * MiB)
        try {
          assert.deepEqual(await leftovers(), [`loop device: ${loop.path}`])
        } finally {
          await loop.dispose()
        }
        await assertClean()
      },
    },
    {
      name: 'a mount whose export has gone is unmounted however the work on it ended',
      async run() {
        await having(nfsServer({ exports: [{ name: 'sr' }], device: labDisk(0) }), async (server) => {
          await assert.rejects(mountNfs(server.remote('sr'), '4.2', async () => {
            await server.unexport()
            throw new Error('in the middle')
          }), /in the middle/)
        })
        await assertClean()
      },
    },
    {
      name: 'a loop device grows',
      run: () => having(loopDevice(8 * MiB), async (loop) => {
        await loop.grow(16 * MiB)
        assert.equal(await sizeOf(loop.path), 16 * MiB)
      }),
    },
    {
      name: 'LVM makes, extends and reports volumes',
      run: () => having(volumeGroup('labvg', [labDisk(0), labDisk(1)]), async () => {
        await must(['lvcreate', '-y', '-L', '32m', '-n', 'one', 'labvg'])
        await must(['lvextend', '-L', '48m', 'labvg/one'])
        const report = JSON.parse(await must(['lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', 'lv_name,lv_size', 'labvg'])) as { readonly report: readonly [{ readonly lv: readonly unknown[] }] }
        assert.deepEqual(report.report[0].lv, [{ lv_name: 'one', lv_size: String(48 * MiB) }])
      }),
    },
    {
      name: 'a thin pool makes snapshots, runs full with an error, and recovers when it is extended',
      run: () => having(volumeGroup('labvg', [labDisk(0)]), async () => {
        await thinPool({ group: 'labvg', name: 'pool', sizeMiB: 64 })
        const volume = await thinVolume('labvg', 'pool', 'one', 128)
        await must(['lvcreate', '-y', '-kn', '-s', '-n', 'snap', 'labvg/one'])
        await fillPool('labvg', 'pool', volume)
        assert.ok(await poolUse('labvg', 'pool') > 99)
        assert.match(await must(['lvs', '--noheadings', '-o', 'lv_health_status', 'labvg/pool']), /out_of_data/)
        await must(['lvextend', '-L', '+160m', 'labvg/pool'])
        await must(['dd', 'if=/dev/zero', `of=${volume}`, 'bs=1M', 'count=128', 'oflag=direct'])
      }),
    },
    {
      name: 'a disk goes bad while it is in use: dead, failing writes, lying, bad sectors, hanging, and good again',
      run: () => having(faultyDisk('labbad', labDisk(0)), async (disk) => {
        const write = (text: string) => tool(['dd', `of=${disk.path}`, 'bs=4096', 'conv=sync', 'oflag=direct'], { stdin: text })
        const begin = async (): Promise<string> => (await must(['dd', `if=${disk.path}`, 'bs=4096', 'count=1', 'iflag=direct'])).slice(0, 5)
        assert.equal((await write('first')).code, 0)
        await disk.become('failingWrites')
        assert.match((await write('never')).stderr, /Input\/output error/)
        assert.equal(await begin(), 'first')
        await disk.become('lying')
        assert.equal((await write('lost.')).code, 0)
        await disk.become('dead')
        assert.match((await read(disk.path)).stderr, /Input\/output error/)
        await disk.badSectors(2048, 8)
        assert.equal(await begin(), 'first')
        assert.match((await read(disk.path, ['skip=256'])).stderr, /Input\/output error/)
        await disk.become('good')
        assert.equal(await begin(), 'first')
        await disk.become('slow')
        assert.equal(await begin(), 'first')
        await disk.become('good')
        await disk.hang()
        let answered = false
        const reading = read(disk.path).then(({ code }) => {
          answered = true
          return code
        })
        await waitFor('the reader to sleep in the kernel', async () => /^D/m.test(await must(['ps', '-C', 'dd', '-o', 'stat='])))
        assert.equal(answered, false)
        await disk.resume()
        assert.equal(await reading, 0)
      }),
    },
    {
      name: 'a SCSI disk has a medium error where it was asked for',
      run: () => having(scsiDisk(16, 4096), async (disk) => {
        assert.equal((await read(disk.path)).code, 0)
        assert.notEqual((await read(disk.path, ['skip=512'])).code, 0)
      }),
    },
    {
      name: 'NFS 4.2 mounts, locks and punches holes',
      run: () => having(nfsServer({ exports: [{ name: 'sr' }], device: labDisk(0) }), (server) =>
        mountNfs(server.remote('sr'), '4.2', async (point) => {
          writeFileSync(`${point}/file`, Buffer.alloc(MiB, 1))
          await must(['flock', '-x', `${point}/file`, 'true'])
          await must(['fallocate', '-p', '-o', '0', '-l', String(MiB / 2), `${point}/file`])
          assert.equal(Number((await must(['stat', '-c', '%b', `${server.folder('sr')}/file`])).trim()) * 512, MiB / 2)
        })),
    },
    {
      name: 'NFS 3 mounts and locks',
      run: () => having(nfsServer({ versions: ['3'], exports: [{ name: 'sr' }], device: labDisk(0) }), (server) =>
        mountNfs(server.remote('sr', '3'), '3', async (point) => {
          assert.match(readFileSync('/proc/mounts', 'utf8'), new RegExp(`${point} nfs .*vers=3`))
          writeFileSync(`${point}/file`, 'text')
          await must(['flock', '-x', `${point}/file`, 'true'])
          assert.equal(readFileSync(`${server.folder('sr')}/file`, 'utf8'), 'text')
        })),
    },
    {
      name: 'an NFS export that is not there, and a server that stops and starts',
      run: () => having(nfsServer({ exports: [{ name: 'sr' }], device: labDisk(0) }), async (server) => {
        const missing = await tool(['mount', '-t', 'nfs', '-o', 'vers=4.2,retry=0', server.remote('other'), '/mnt'])
        assert.equal(missing.code, 32)
        assert.match(missing.stderr, /No such file or directory/)
        await server.stop()
        const refused = await tool(['mount', '-t', 'nfs', '-o', 'vers=4.2,retry=0', server.remote('sr'), '/mnt'])
        assert.match(refused.stderr, /Connection refused/)
        await server.start()
        await mountNfs(server.remote('sr'), '4.2', async (point) => {
          writeFileSync(`${point}/again`, '')
          await server.unexport()
          // A new file: what the client knows of the old one it may answer from its cache.
          let tries = 0
          const creates = async (): Promise<boolean> => (await tool(['touch', `${point}/new-${tries++}`])).code === 0
          await waitFor('the export to be gone', async () => !(await creates()))
          await server.exportAll()
          await waitFor('the export to be back', creates)
        })
      }),
    },
    {
      name: 'an iSCSI login to LIO with CHAP brings the LUNs, by their serials; wrong credentials are refused',
      async run() {
        const chap = { user: 'reader', password: 'lab-secret-12' }
        const mutual = { user: 'target', password: 'other-secret-34' }
        const iqn = 'iqn.2024-01.org.example:lab.lio'
        await having(lioTarget({ iqn, luns: [{ number: 0, size: 32 * MiB }, { number: 1, size: 64 * MiB }], chap, mutual }), (target) =>
          having(iscsiInitiator(), async (initiator) => {
            const portal = '127.0.0.1:3260'
            assert.deepEqual(await initiator.discover(portal), [iqn])
            await assert.rejects(initiator.login(iqn, portal, { ...chap, password: 'not-the-one-56' }), /status 24/)
            await initiator.login(iqn, portal, chap, mutual)
            const link = (lun: number): string => `/dev/disk/by-path/ip-${portal}-iscsi-${iqn}-lun-${lun}`
            assert.equal(await sizeOf(link(1)), 64 * MiB)
            const page = await must(['sg_inq', '-p', '0x80', link(1)])
            assert.ok(page.includes(target.serialOf(1)))
            target.unmap(1)
            assert.notEqual((await read(link(1))).code, 0)
            await having(loopDevice(32 * MiB), async (loop) => {
              target.addLun({ number: 2, device: loop.path })
              const rescan = () => must(['iscsiadm', '-m', 'node', '-T', iqn, '-R'])
              await rescan()
              await waitFor('the new LUN', () => existsSync(link(2)))
              await loop.grow(48 * MiB)
              await rescan()
              await waitFor('the LUN to grow', async () => await sizeOf(link(2)) === 48 * MiB)
              target.enable(false)
              await assert.rejects(initiator.discover(portal))
              target.enable(true)
              await initiator.logout(iqn)
              target.unmap(2)
            })
          }))
      },
    },
    {
      name: 'a tgt target vanishes, I/O fails, and all is well when it is back',
      async run() {
        const iqn = 'iqn.2024-01.org.example:lab.tgt'
        await having(loopDevice(32 * MiB), (disk) =>
          having(tgtTarget({ iqn, luns: [{ path: disk.file, serial: 'LAB00001' }] }), (target) =>
            having(iscsiInitiator(), async (initiator) => {
              assert.deepEqual(await initiator.discover(target.portal), [iqn])
              await initiator.login(iqn, target.portal)
              const device = `/dev/disk/by-path/ip-${target.portal}-iscsi-${iqn}-lun-1`
              assert.equal((await read(device)).code, 0)
              await target.vanish()
              assert.match((await read(device)).stderr, /Input\/output error/)
              await target.comeBack()
              await waitFor('the disk to answer again', async () => (await read(device)).code === 0)
            })))
      },
    },
    {
      name: 'multipath keeps a LUN alive while one of its paths is a black hole',
      async run() {
        const iqn = 'iqn.2024-01.org.example:lab.mp'
        await having(lioTarget({ iqn, luns: [{ number: 0, size: 32 * MiB }], portals: ['127.0.0.1:3260', '127.0.0.2:3260'] }), () =>
          having(multipathDaemon(), (multipath) =>
            having(iscsiInitiator(), async (initiator) => {
              await initiator.discover('127.0.0.1:3260')
              for (const portal of ['127.0.0.1:3260', '127.0.0.2:3260']) await initiator.login(iqn, portal)
              const wwid = (await must(['/lib/udev/scsi_id', '-g', '-u', `/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-${iqn}-lun-0`])).trim()
              const map = await multipath.map(wwid, 2)
              await having(blackHole('127.0.0.2', 3260), async () => {
                assert.equal((await read(map)).code, 0)
                await waitFor('the path to be failed', async () => (await must(['multipath', '-ll'])).includes('failed'))
                assert.equal((await read(map)).code, 0)
              })
              await waitFor('both paths to be back', async () => !(await must(['multipath', '-ll'])).includes('failed'))
              await settle()
            })))
      },
    },
  ],
  entries: {
    async prepare() {
      await volumeGroup('labvg', [labDisk(0)])
      await thinPool({ group: 'labvg', name: 'pool', sizeMiB: 256 })
      await thinVolume('labvg', 'pool', 'base', 64)
    },
    async work(context) {
      await prepareLvm()
      await must(['lvchange', '-ay', 'labvg/base'])
      for (let step = 0; ; step++) {
        const name = `s${context.args[0]}_${step}`
        await must(['lvcreate', '-y', '-kn', '-s', '-n', name, 'labvg/base'])
        context.ack(`made ${name}`)
        if (step % 4 === 0) continue
        // Said before, too: from here to the second word both is right, there and gone.
        context.ack(`removing ${name}`)
        await must(['lvremove', '-y', `labvg/${name}`])
        context.ack(`removed ${name}`)
      }
    },
    async verify({ args }) {
      await prepareLvm()
      const there = new Set((await must(['lvs', '--noheadings', '-o', 'lv_name', 'labvg'])).split('\n').map((line) => line.trim()))
      const said = (word: string): readonly string[] => args.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1))
      const leaving = new Set(said('removing'))
      for (const name of said('made')) assert.ok(leaving.has(name) || there.has(name), `${name} was acknowledged and is gone`)
      for (const name of said('removed')) assert.ok(!there.has(name), `${name} was removed and is there`)
      await must(['vgck', 'labvg'])
      // A cut in the middle of a removal may leave a volume in LVM's metadata whose thin device is gone from the pool: it
      // cannot be activated any more (ENODATA), but the removal can be repeated.
      for (const name of leaving) if (there.has(name)) await must(['lvremove', '-y', `labvg/${name}`])
      for (const name of said('made').filter((one) => !leaving.has(one))) await must(['lvchange', '-ay', `labvg/${name}`])
      await must(['vgchange', '-an', 'labvg'])
      await must(['lvchange', '-y', '-ay', 'labvg/pool_tmeta'])
      await must(['thin_check', '/dev/labvg/pool_tmeta'])
      await must(['lvchange', '-an', 'labvg/pool_tmeta'])
    },
    async writeSynced() {
      await must(['mkfs.ext4', '-q', '-F', labDisk(1)])
      await must(['mount', labDisk(1), '/mnt'])
      await must(['dd', 'of=/mnt/synced', 'conv=fsync'], { stdin: 'kept' })
      await must(['sync', '/mnt'])
      await must(['dd', 'of=/mnt/late'], { stdin: 'never written' })
    },
    async readSynced() {
      await must(['mount', labDisk(1), '/mnt'])
      const found = readFileSync('/mnt/synced', 'utf8')
      const late = (readIfThere('/mnt/late') ?? '').length
      await unmount('/mnt')
      return { found, late }
    },
  },
  host: [
    {
      name: 'exec keeps the streams apart, carries bytes, status, folder and environment, and ends what takes too long',
      async run({ guests: [guest] }) {
        const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251))
        const digest = await guest.ok(['md5sum'], { stdin: bytes })
        assert.equal(digest.split(' ')[0], createHash('md5').update(bytes).digest('hex'))
        // More than any buffer on the way holds.
        const much = await guest.exec(['sh', '-c', 'head -c 12000000 /dev/urandom | base64 | tee /dev/shm/much; md5sum </dev/shm/much >&2; rm /dev/shm/much'])
        assert.equal(much.stderr.split(' ')[0], createHash('md5').update(much.stdout).digest('hex'))
        const both = await guest.exec(['sh', '-c', 'echo out; echo err >&2; exit 7'])
        assert.deepEqual([both.code, both.stdout, both.stderr], [7, 'out\n', 'err\n'])
        assert.equal(await guest.ok(['sh', '-c', 'pwd; echo $LABWORD'], { cwd: '/usr', env: { LABWORD: 'word' } }), '/usr\nword\n')
        assert.equal((await guest.exec(['no-such-tool'])).code, 127)
        assert.equal((await guest.exec(['sh', '-c', 'kill -15 $$'])).code, 143)
        const late = await guest.exec(['sh', '-c', 'sleep 1000 & wait'], { timeoutMs: 1500 })
        assert.deepEqual([late.code, late.timedOut], [124, true])
        assert.equal((await guest.exec(['pgrep', '-x', 'sleep'])).code, 1)
        // A daemon that keeps the pipes open does not hold up the command that started it.
        assert.equal((await guest.exec(['sh', '-c', 'setsid sleep 1000 & echo started'], { timeoutMs: 60_000 })).stdout, 'started\n')
        await guest.ok(['pkill', '-x', 'sleep'])
        const many = await Promise.all(Array.from({ length: 10 }, (_, index) => guest.ok(['sh', '-c', `sleep 0.2; echo ${index}`])))
        assert.deepEqual(many, Array.from({ length: 10 }, (_, index) => `${index}\n`))
      },
    },
    {
      name: 'a power cut keeps what was synced and loses what was only in memory',
      async run(lab) {
        const [guest] = lab.guests
        await lab.call('writeSynced')
        await guest.powerCut()
        await assert.rejects(guest.exec(['true']), /is off/)
        await guest.reboot()
        assert.deepEqual(await lab.call('readSynced'), { found: 'kept', late: 0 })
      },
    },
    {
      name: 'a disk is pulled and plugged in again',
      async run({ guests: [guest] }) {
        await guest.unplug(1)
        await waitFor('the disk to be gone', async () => (await guest.exec(['test', '-e', labDisk(1)])).code !== 0)
        await guest.plug(1)
        await waitFor('the disk to be back', async () => (await guest.exec(['test', '-e', labDisk(1)])).code === 0)
      },
    },
    {
      name: 'every acknowledged step of LVM outlives power cuts',
      async run(lab) {
        await lab.call('prepare')
        const { cuts, acknowledged } = await lab.cutAndCheck({ workload: 'work', check: 'verify', cuts: 2, atLeast: 2 })
        lab.say(`${cuts} power cuts, ${acknowledged} acknowledged steps`)
      },
    },
  ],
})
