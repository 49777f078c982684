/** Works on a simulator until it is killed, and tells each thing after it was acknowledged: for the test of kill -9. */
import { writeSync } from 'node:fs'
import { startArrays } from '../../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { login } from './plain-client.ts'

const directory = process.argv[2] ?? ''
const say = (line: string): void => void writeSync(1, `${line}\n`)
const { arrays: [a] } = await startArrays({ arrays: 2, stateDirectory: directory, durations: { syncMs: 0, copyMs: 0 } })
if (a === undefined) throw new Error('no array')
const client = await login(a)
if ((await client.get('/volumes/data')).status === 404) {
  await client.post('/volumes', { name: 'data', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
  await client.post('/hosts', { name: 'host', iSCSINames: ['iqn.host'] })
  await client.post('/vluns', { volumeName: 'data', lun: 0, hostname: 'host' })
  await client.post('/remotecopygroups', { name: 'group', targets: [{ targetName: 'array-b', mode: 1, userCPG: 'SSD_r6', snapCPG: 'FC_r5' }], localUserCPG: 'SSD_r6', localSnapCPG: 'FC_r5' })
  await client.put('/remotecopygroups/group', { action: 1, volumeName: 'data', targets: [{ targetName: 'array-b', secVolumeName: 'data' }], volumeAutoCreation: true })
  await client.put('/remotecopygroups/group', { action: 3 })
}
const wwn = String((await client.get('/volumes/data')).body['wwn'])
const first = a.inspect('data', 0, 4).readUInt32LE() + 1
for (let number = first; ; number++) {
  const data = Buffer.alloc(65_536, number & 0xff)
  data.writeUInt32LE(number)
  await a.write({ host: 'host', wwn }, 0, data)
  say(`w ${number}`)
  if (number % 5 === 0) {
    await client.post('/volumes', { name: `v${number}`, cpg: 'SSD_r6', sizeMiB: 256, tpvv: true })
    say(`v v${number}`)
  }
  if (number % 7 === 0) {
    await client.post('/volumes/data', { action: 'createSnapshot', parameters: { name: `s${number}`, readOnly: true } })
    say(`s s${number} ${number}`)
  }
}
