/** Simulated arrays under the real initiator: their volumes are disks, and what is written to those goes to the other array. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { login, type Client } from '../../drivers/array-replication/simulator/plain-client.ts'
import { startArrays, type RunningArray, type RunningArrays } from '../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { iscsiInitiator, type IscsiInitiator } from '../fixtures/iscsi.ts'
import { must, settle, sizeOf, tool, unmount, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const state = '/run/lab-arrays'
const mountPoint = '/run/lab-volume'
const MiB = 2 ** 20

interface Stand {
  readonly running: RunningArrays
  readonly a: RunningArray
  readonly b: RunningArray
  readonly clientA: Client
  readonly clientB: Client
  readonly initiator: IscsiInitiator
}

const stand = async (work: (given: Stand) => Promise<void>): Promise<void> => {
  const running = await startArrays({ arrays: 2, stateDirectory: state, iscsiPort: 3260, durations: { syncMs: 0 } })
  const initiator = await iscsiInitiator()
  try {
    const [a, b] = running.arrays
    assert.ok(a !== undefined && b !== undefined)
    const [clientA, clientB] = [await login(a), await login(b)]
    for (const client of [clientA, clientB]) await ok(client.post('/hosts', { name: 'guest', iSCSINames: [initiator.name] }))
    await work({ running, a, b, clientA, clientB, initiator })
  } finally {
    await unmount(mountPoint).catch(() => undefined)
    await initiator.dispose()
    await running.close()
    rmSync(state, { recursive: true, force: true })
    await settle()
  }
}

const ok = async (reply: ReturnType<Client['get']>): Promise<Readonly<Record<string, unknown>>> => {
  const { status, text, body } = await reply
  assert.ok(status < 300, `${status} ${text}`)
  return body
}

/** Logs in to the first port of an array and answers the disk of a volume. */
const attach = async ({ initiator }: Stand, array: RunningArray, client: Client, volume: string): Promise<string> => {
  const [portal = ''] = array.portals
  await initiator.discover(portal)
  await initiator.login(String((await ok(client.get('/ports/0:2:1')))['iSCSIName']), portal)
  const path = `/dev/disk/by-id/wwn-0x${String((await ok(client.get(`/volumes/${volume}`)))['wwn']).toLowerCase()}`
  await waitFor(path, () => existsSync(path))
  return path
}
const leave = async ({ initiator }: Stand, client: Client): Promise<void> => initiator.logout(String((await ok(client.get('/ports/0:2:1')))['iSCSIName']))

const makeReplicated = async ({ clientA }: Stand): Promise<void> => {
  await ok(clientA.post('/volumes', { name: 'disk', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true }))
  await ok(clientA.post('/remotecopygroups', { name: 'group', targets: [{ targetName: 'array-b', mode: 1, userCPG: 'SSD_r6', snapCPG: 'FC_r5' }], localUserCPG: 'SSD_r6', localSnapCPG: 'FC_r5' }))
  await ok(clientA.put('/remotecopygroups/group', { action: 1, volumeName: 'disk', targets: [{ targetName: 'array-b', secVolumeName: 'disk' }], volumeAutoCreation: true }))
  await ok(clientA.put('/remotecopygroups/group', { action: 3 }))
  await ok(clientA.post('/vluns', { volumeName: 'disk', lun: 1, hostname: 'guest' }))
}

export default suite({
  name: 'sim-arrays',
  driver: 'lab',
  cases: [
    {
      name: 'a volume is a disk with its WWN, grows under the host, and keeps its snapshot',
      run: async () => stand(async (given) => {
        const { clientA, a } = given
        await ok(clientA.post('/volumes', { name: 'disk', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true }))
        await ok(clientA.post('/vluns', { volumeName: 'disk', lun: 1, hostname: 'guest' }))
        const disk = await attach(given, a, clientA, 'disk')
        assert.equal(await sizeOf(disk), 256 * MiB)
        await must(['dd', 'if=/dev/zero', `of=${disk}`, 'bs=1M', 'count=8', 'oflag=direct'])
        await must(['sh', '-c', `printf before | dd of=${disk} bs=4096 conv=notrunc,fsync`])
        await ok(clientA.post('/volumes/disk', { action: 'createSnapshot', parameters: { name: 'snap', readOnly: true } }))
        await must(['sh', '-c', `printf after! | dd of=${disk} bs=4096 conv=notrunc,fsync`])
        assert.deepEqual([a.inspect('disk', 0, 6).toString(), a.inspect('snap', 0, 6).toString()], ['after!', 'before'])
        await ok(clientA.put('/volumes/disk', { action: 3, sizeMiB: 256 }))
        await must(['iscsiadm', '-m', 'session', '--rescan'])
        await waitFor('the new size', async () => (await sizeOf(disk)) === 512 * MiB)
        await leave(given, clientA)
      }),
    },
    {
      name: 'a file system written on one array is whole on the other after failover, and comes back by restore',
      run: async () => stand(async (given) => {
        const { clientA, clientB, a, b } = given
        await makeReplicated(given)
        mkdirSync(mountPoint, { recursive: true })
        const first = await attach(given, a, clientA, 'disk')
        await must(['mkfs.ext4', '-q', first])
        await must(['mount', first, mountPoint])
        await must(['sh', '-c', `echo one > ${mountPoint}/file && sync`])
        await unmount(mountPoint)
        await leave(given, clientA)
        assert.ok(a.inspect('disk', 0, 32 * MiB).equals(b.inspect('disk', 0, 32 * MiB)))

        await ok(clientA.put('/remotecopygroups/group', { action: 4 }))
        await ok(clientB.post('/vluns', { volumeName: 'disk', lun: 7, hostname: 'guest' }))
        const far = await attach(given, b, clientB, 'disk')
        assert.notEqual((await tool(['dd', 'if=/dev/zero', `of=${far}`, 'bs=4096', 'count=1', 'oflag=direct'])).code, 0, 'a secondary volume was written')
        await leave(given, clientB)
        await ok(clientB.post('/remotecopygroups/group.r100001', { action: 7 }))
        await must(['mount', await attach(given, b, clientB, 'disk'), mountPoint])
        assert.equal((await must(['cat', `${mountPoint}/file`])).trim(), 'one')
        await must(['sh', '-c', `echo two > ${mountPoint}/file && sync`])
        await unmount(mountPoint)
        await leave(given, clientB)

        await ok(clientB.post('/remotecopygroups/group.r100001', { action: 9 }))
        await ok(clientB.post('/remotecopygroups/group.r100001', { action: 10 }))
        await must(['mount', await attach(given, a, clientA, 'disk'), mountPoint])
        assert.equal((await must(['cat', `${mountPoint}/file`])).trim(), 'two')
        await unmount(mountPoint)
        await leave(given, clientA)
      }),
    },
    {
      name: 'CHAP lets in who knows the secret, and nobody else',
      run: async () => stand(async (given) => {
        const { clientA, a, initiator } = given
        const secrets = { user: 'guest', password: 'initiator-00' }
        const mutual = { user: 'array', password: 'target-secret' }
        await ok(clientA.put('/hosts/guest', { chapOperation: 1, chapOperationMode: 1, chapName: secrets.user, chapSecret: secrets.password }))
        await ok(clientA.put('/hosts/guest', { chapOperation: 1, chapOperationMode: 2, chapName: mutual.user, chapSecret: mutual.password }))
        const [portal = ''] = a.portals
        const name = String((await ok(clientA.get('/ports/0:2:1')))['iSCSIName'])
        await initiator.discover(portal)
        await assert.rejects(initiator.login(name, portal, { ...secrets, password: 'wrong-secret' }))
        await initiator.login(name, portal, secrets, mutual)
        await initiator.logout(name)
      }),
    },
  ],
})
