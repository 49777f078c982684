/** Two guests on a net of their own: a server that another machine depends on, and what becomes of it without power. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { iscsiInitiator } from '../fixtures/iscsi.ts'
import { initiatorOf, lioTarget } from '../fixtures/lio.ts'
import { nfsServer } from '../fixtures/nfs.ts'
import { labDisk, must, tool, waitFor } from '../fixtures/tool.ts'
import { suite, type LabHost } from '../suite.ts'

const MiB = 1024 * 1024
const server = '10.77.0.2'
const point = '/mnt/lab-pair'
const iqn = 'iqn.2024-01.org.example:lab.pair'

const pong = async (): Promise<boolean> => (await tool(['busybox', 'ping', '-c', '1', '-W', '5', server])).code === 0

const twoGuests = ({ guests }: LabHost) => {
  const [client, other] = guests
  assert.ok(other)
  return { client, other }
}

/** The content of block `index`, different for each. */
const block = (index: number): Buffer => Buffer.alloc(MiB, createHash('sha256').update(`block ${index}`).digest())

export default suite({
  name: 'lab-pair',
  driver: 'lab',
  guests: 2,
  disks: [256 * MiB, 64 * MiB],
  memoryMiB: 1024,
  cases: [
    {
      name: 'the guests reach each other, and are different machines',
      async run() {
        await waitFor('an answer', pong)
        assert.equal((await must(['hostname'])).trim(), 'lab-a')
      },
    },
  ],
  entries: {
    async serveNfs({ args }) {
      const [how] = args
      if (how === 'again') await must(['e2fsck', '-p', labDisk(0)])
      await nfsServer({ exports: [{ name: 'sr' }], device: labDisk(0), address: server, ...(how === 'again' ? { keep: true } : {}) })
    },
    async mountHard() {
      mkdirSync(point, { recursive: true })
      await must(['mount', '-t', 'nfs', '-o', 'vers=4.2,hard', `${server}:/sr`, point])
    },
    async write() {
      const fd = openSync(`${point}/data`, 'w')
      for (let index = 0; index < 48; index++) {
        writeSync(fd, block(index))
        fsyncSync(fd)
      }
      closeSync(fd)
    },
    async compare() {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(`${point}/data`)) hash.update(chunk as Buffer)
      const wanted = createHash('sha256')
      for (let index = 0; index < 48; index++) wanted.update(block(index))
      assert.equal(hash.digest('hex'), wanted.digest('hex'))
    },
    async unmountAll() {
      await must(['umount', point])
    },
    async serveIscsi() {
      await lioTarget({ iqn, luns: [{ number: 0, device: labDisk(1), serial: '11112222-3333-4444-5555-666677778888' }], portals: [`${server}:3260`], initiators: [initiatorOf('lab-a')] })
    },
    async loginAndRead() {
      const initiator = await iscsiInitiator()
      assert.deepEqual(await initiator.discover(`${server}:3260`), [iqn])
      await initiator.login(iqn, `${server}:3260`)
      await must(['dd', `if=/dev/disk/by-path/ip-${server}:3260-iscsi-${iqn}-lun-0`, 'of=/dev/null', 'bs=1M', 'count=4', 'iflag=direct'])
      await initiator.dispose()
    },
    async unreachable() {
      await waitFor('the net to be dead', async () => !(await pong()))
    },
    async reachable() {
      await waitFor('the net to be alive', pong)
    },
  },
  host: [
    {
      name: 'a link that is down is a black hole, and comes back',
      async run(lab) {
        const { client } = twoGuests(lab)
        await client.link('down')
        try {
          await lab.call('unreachable')
        } finally {
          await client.link('up')
        }
        await lab.call('reachable')
      },
    },
    {
      name: 'a LUN of the other guest can be read',
      async run(lab) {
        const { other } = twoGuests(lab)
        await lab.call('serveIscsi', { guest: other })
        await lab.call('loginAndRead')
      },
    },
    {
      name: 'a hard NFS mount outlives a power cut of its server, and no byte is lost',
      async run(lab) {
        const { client, other } = twoGuests(lab)
        await lab.call('serveNfs', { guest: other, args: ['first'] })
        await lab.call('mountHard')
        const writing = lab.call('write', { timeoutMs: 600_000 })
        await waitForSize(client)
        await other.powerCut()
        await other.reboot()
        await lab.call('serveNfs', { guest: other, args: ['again'] })
        await writing
        await lab.call('compare')
        await lab.call('unmountAll')
      },
    },
  ],
})

/** Some of the file is written, and surely not all. */
const waitForSize = async (client: LabHost['guests'][number]): Promise<void> => {
  await waitFor('the first blocks', async () => {
    const { stdout } = await client.exec(['stat', '-c', '%s', `${point}/data`])
    return Number(stdout) > 4 * MiB
  })
}
