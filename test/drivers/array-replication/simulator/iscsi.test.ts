/** The iSCSI ports of a simulated array, by an initiator written out by hand from RFC 7143 and SPC-4. */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { login, stage, strike, type Client, type Stage } from './plain-client.ts'

let arrays: Stage
let client: Client
let target: string
let wwn: string
const iqn = 'iqn.1993-08.org.debian:01:host'
const sockets: Socket[] = []

beforeEach(async () => {
  arrays = await stage({ iscsiPort: 0 })
  client = await login(arrays.a)
  await client.post('/volumes', { name: 'one', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
  await client.post('/hosts', { name: 'h', iSCSINames: [iqn] })
  await client.post('/vluns', { volumeName: 'one', lun: 3, hostname: 'h' })
  target = String((await client.get('/ports/0:2:1')).body['iSCSIName'])
  wwn = String((await client.get('/volumes/one')).body['wwn'])
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await strike(arrays)
})

interface Answer {
  readonly header: Buffer
  readonly data: Buffer
}

interface Initiator {
  /** Number of the next command. */
  number: number
  send(header: Buffer, data?: Buffer): void
  next(): Promise<Answer>
}

const open = (portal = arrays.a.portals[0] ?? ''): Promise<Initiator> =>
  new Promise((resolve, reject) => {
    const [host = '', port = ''] = portal.split(':')
    const socket = connect(Number(port), host)
    sockets.push(socket)
    let arrived = Buffer.alloc(0)
    const answers: Answer[] = []
    const waiting: ((answer: Answer | Error) => void)[] = []
    const give = (answer: Answer | Error): void => {
      const taker = waiting.shift()
      if (taker !== undefined) taker(answer)
      else if (!(answer instanceof Error)) answers.push(answer)
    }
    socket.on('data', (part) => {
      arrived = Buffer.concat([arrived, part])
      while (arrived.length >= 48 && arrived.length >= 48 + Math.ceil(arrived.readUIntBE(5, 3) / 4) * 4) {
        const length = arrived.readUIntBE(5, 3)
        give({ header: arrived.subarray(0, 48), data: arrived.subarray(48, 48 + length) })
        arrived = arrived.subarray(48 + Math.ceil(length / 4) * 4)
      }
    })
    socket.on('close', () => give(new Error('closed')))
    socket.on('error', reject)
    socket.on('connect', () => resolve({
      number: 1,
      send: (header, data = Buffer.alloc(0)) => {
        header.writeUIntBE(data.length, 5, 3)
        socket.write(Buffer.concat([header, data, Buffer.alloc((4 - (data.length % 4)) % 4)]))
      },
      next: () => new Promise((take, fail) => {
        const known = answers.shift()
        if (known !== undefined) take(known)
        else waiting.push((answer) => (answer instanceof Error ? fail(answer) : take(answer)))
      }),
    }))
  })

const keys = (pairs: Readonly<Record<string, string>>): Buffer => Buffer.from(Object.entries(pairs).map(([key, value]) => `${key}=${value}\0`).join(''))
const told = ({ data }: Answer): Readonly<Record<string, string>> => Object.fromEntries(data.toString().split('\0').filter((pair) => pair !== '').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))

/** One login request in phase `current`, wishing to go on to `next`. */
const loginRequest = async (initiator: Initiator, current: number, next: number, pairs: Readonly<Record<string, string>>): Promise<Answer> => {
  const header = Buffer.alloc(48)
  header[0] = 0x43
  header[1] = 0x80 | (current << 2) | next
  header.writeUInt32BE(1, 24)
  initiator.send(header, keys(pairs))
  return initiator.next()
}
const status = ({ header }: Answer): string => `${header[36]}/${header[37]}`
const session = async (more: Readonly<Record<string, string>> = {}): Promise<Initiator> => {
  const initiator = await open()
  const answer = await loginRequest(initiator, 1, 3, { InitiatorName: iqn, SessionType: 'Normal', TargetName: target, ImmediateData: 'No', MaxRecvDataSegmentLength: '8192', ...more })
  expect(status(answer)).toBe('0/0')
  return initiator
}

const lun3 = Buffer.from([0, 3, 0, 0, 0, 0, 0, 0])

interface Result {
  readonly status: number
  readonly data: Buffer
  /** Key, code and qualifier. */
  readonly sense: string
}

/** Sends a command and does what the target asks for until it has the status. */
const scsi = async (initiator: Initiator, cdb: readonly number[], { read = 0, write, lun = lun3 }: { readonly read?: number; readonly write?: Buffer; readonly lun?: Buffer } = {}): Promise<Result> => {
  const header = Buffer.alloc(48)
  header[0] = 0x01
  header[1] = 0x80 | (read > 0 ? 0x40 : 0) | (write === undefined ? 0 : 0x20)
  lun.copy(header, 8)
  const mine = initiator.number++
  header.writeUInt32BE(mine, 16)
  header.writeUInt32BE(write?.length ?? read, 20)
  header.writeUInt32BE(mine, 24)
  Buffer.from(cdb).copy(header, 32)
  initiator.send(header)
  const parts: Buffer[] = []
  for (;;) {
    const { header: answer, data } = await initiator.next()
    const kind = answer[0]
    if (kind === 0x31 && write !== undefined) {
      const offset = answer.readUInt32BE(40)
      const length = answer.readUInt32BE(44)
      for (let at = 0, number = 0; at < length; at += 8192, number++) {
        const out = Buffer.alloc(48)
        out[0] = 0x05
        out[1] = at + 8192 >= length ? 0x80 : 0
        out.writeUInt32BE(mine, 16)
        answer.copy(out, 20, 20, 24)
        out.writeUInt32BE(number, 36)
        out.writeUInt32BE(offset + at, 40)
        initiator.send(out, write.subarray(offset + at, offset + Math.min(at + 8192, length)))
      }
    } else if (kind === 0x25) {
      parts.push(data)
      if (((answer[1] ?? 0) & 0x01) !== 0) return { status: answer[3] ?? -1, data: Buffer.concat(parts), sense: '' }
    } else if (kind === 0x21) {
      const sense = data.subarray(2)
      return { status: answer[3] ?? -1, data: Buffer.concat(parts), sense: sense.length === 0 ? '' : `${sense[2]}/${sense[12]?.toString(16)}/${sense[13]?.toString(16)}` }
    } else throw new Error(`unexpected PDU ${kind}`)
  }
}

const inquiry = (page: number): readonly number[] => [0x12, page === 0 ? 0 : 1, page, 0, 255, 0]
const write10 = (block: number, count: number): readonly number[] => [0x2a, 0, 0, 0, 0, block, 0, 0, count, 0]
const read10 = (block: number, count: number): readonly number[] => [0x28, 0, 0, 0, 0, block, 0, 0, count, 0]

describe('login', () => {
  it('of discovery tells all targets and their addresses', async () => {
    const initiator = await open()
    expect(status(await loginRequest(initiator, 1, 3, { InitiatorName: iqn, SessionType: 'Discovery' }))).toBe('0/0')
    const header = Buffer.alloc(48)
    header[0] = 0x04
    header[1] = 0x80
    header.writeUInt32BE(1, 24)
    initiator.send(header, keys({ SendTargets: 'All' }))
    const { data } = await initiator.next()
    expect(data.toString()).toContain(`TargetName=${target}\0TargetAddress=${arrays.a.portals[0]},21\0`)
    expect(data.toString().match(/TargetName=/g)).toHaveLength(2)
  })

  it('agrees on what both can, and does not understand the rest', async () => {
    const initiator = await open()
    const answer = told(await loginRequest(initiator, 1, 3, { InitiatorName: iqn, SessionType: 'Normal', TargetName: target, HeaderDigest: 'CRC32C,None', InitialR2T: 'No', MaxBurstLength: '16776192', FirstBurstLength: '512', 'X-com.example': '1' }))
    expect(answer).toMatchObject({ TargetPortalGroupTag: '21', HeaderDigest: 'None', InitialR2T: 'Yes', MaxBurstLength: '262144', FirstBurstLength: '512', 'X-com.example': 'NotUnderstood' })
  })

  it('is refused for a target that is elsewhere, and without names', async () => {
    expect(status(await loginRequest(await open(), 1, 3, { InitiatorName: iqn, SessionType: 'Normal', TargetName: 'iqn.none' }))).toBe('2/3')
    expect(status(await loginRequest(await open(arrays.b.portals[0]), 1, 3, { InitiatorName: iqn, SessionType: 'Normal', TargetName: target }))).toBe('2/3')
    expect(status(await loginRequest(await open(), 1, 3, { SessionType: 'Normal', TargetName: target }))).toBe('2/7')
  })

  it('asks a host with CHAP for its proof, and never lets it past without', async () => {
    await client.put('/hosts/h', { chapOperation: 1, chapOperationMode: 1, chapName: 'user', chapSecret: 'secret-secret' })
    const names = { InitiatorName: iqn, SessionType: 'Normal', TargetName: target }
    expect(status(await loginRequest(await open(), 1, 3, names))).toBe('2/1')
    expect(status(await loginRequest(await open(), 0, 1, { ...names, AuthMethod: 'None' }))).toBe('2/1')
    for (const [secret, wanted] of [['wrong-secret-1', '2/1'], ['secret-secret', '0/0']] as const) {
      const initiator = await open()
      expect(told(await loginRequest(initiator, 0, 1, { ...names, AuthMethod: 'CHAP,None' }))['AuthMethod']).toBe('CHAP')
      const { CHAP_I: id = '', CHAP_C: challenge = '' } = told(await loginRequest(initiator, 0, 1, { CHAP_A: '5' }))
      const proof = createHash('md5').update(Buffer.from([Number(id)])).update(secret).update(Buffer.from(challenge.slice(2), 'hex')).digest('hex')
      expect(status(await loginRequest(initiator, 0, 1, { CHAP_N: 'user', CHAP_R: `0x${proof}` }))).toBe(wanted)
      if (wanted === '0/0') expect(status(await loginRequest(initiator, 1, 3, {}))).toBe('0/0')
    }
  })
})

describe('a LUN', () => {
  it('has the WWN of its volume as page 83, and its size', async () => {
    const initiator = await session()
    const standard = (await scsi(initiator, inquiry(0), { read: 255 })).data
    expect(standard.subarray(8, 24).toString()).toBe('3PARdataVV      ')
    const identity = (await scsi(initiator, inquiry(0x83), { read: 255 })).data
    expect(identity.subarray(8, 24).toString('hex').toUpperCase()).toBe(wwn)
    const { data } = await scsi(initiator, [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], { read: 32 })
    expect([data.readBigUInt64BE(0), data.readUInt32BE(8)]).toEqual([BigInt(256 * 2048 - 1), 512])
    const luns = (await scsi(initiator, [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], { read: 256, lun: Buffer.alloc(8) })).data
    expect(luns.toString('hex')).toBe('00000008000000000003000000000000')
  })

  it('is written and read as the volume', async () => {
    const initiator = await session()
    const data = Buffer.alloc(100 * 512, 'x')
    expect(await scsi(initiator, write10(5, 100), { write: data })).toMatchObject({ status: 0 })
    expect((await scsi(initiator, read10(4, 102), { read: 102 * 512 })).data.equals(Buffer.concat([Buffer.alloc(512), data, Buffer.alloc(512)]))).toBe(true)
    expect(arrays.a.inspect('one', 5 * 512, 1).toString()).toBe('x')
    expect(await scsi(initiator, [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).toMatchObject({ status: 0 })
    expect(await scsi(initiator, [0x28, 0, 0, 8, 0, 0, 0, 0, 1, 0], { read: 512 })).toMatchObject({ status: 2, sense: '5/21/0' })
    expect(await scsi(initiator, [0xff])).toMatchObject({ status: 2, sense: '5/20/0' })
  })

  it('that is not presented is none, and one that comes or goes is announced', async () => {
    const initiator = await session()
    const ready = [0, 0, 0, 0, 0, 0]
    expect(await scsi(initiator, ready)).toMatchObject({ status: 0 })
    expect(await scsi(initiator, ready, { lun: Buffer.from([0, 9, 0, 0, 0, 0, 0, 0]) })).toMatchObject({ sense: '5/25/0' })
    await client.post('/volumes', { name: 'two', cpg: 'SSD_r6', sizeMiB: 256, tpvv: true })
    await client.post('/vluns', { volumeName: 'two', lun: 4, hostname: 'h' })
    expect(await scsi(initiator, ready)).toMatchObject({ sense: '6/3f/e' })
    expect(await scsi(initiator, ready)).toMatchObject({ status: 0 })
    await client.put('/volumes/one', { action: 3, sizeMiB: 256 })
    expect(await scsi(initiator, ready)).toMatchObject({ sense: '6/2a/9' })
    await client.del('/vluns/one,3,h')
    expect(await scsi(initiator, ready)).toMatchObject({ sense: '5/25/0' })
  })

  it('of a secondary volume is read, not written, and says so before it is tried', async () => {
    await client.post('/remotecopygroups', { name: 'g', targets: [{ targetName: 'array-b', mode: 1, userCPG: 'SSD_r6', snapCPG: 'FC_r5' }], localUserCPG: 'SSD_r6', localSnapCPG: 'FC_r5' })
    await client.put('/remotecopygroups/g', { action: 1, volumeName: 'one', targets: [{ targetName: 'array-b', secVolumeName: 'one' }], volumeAutoCreation: true })
    await client.put('/remotecopygroups/g', { action: 3 })
    arrays.clock.advance(60_000)
    const initiator = await session()
    expect(await scsi(initiator, write10(0, 1), { write: Buffer.alloc(512, 'r') })).toMatchObject({ status: 0 })
    expect(arrays.b.inspect('one', 0, 1).toString()).toBe('r')
    const other = await login(arrays.b)
    await other.post('/hosts', { name: 'h', iSCSINames: [iqn] })
    await other.post('/vluns', { volumeName: 'one', lun: 3, hostname: 'h' })
    target = String((await other.get('/ports/0:2:1')).body['iSCSIName'])
    const far = await open(arrays.b.portals[0])
    await loginRequest(far, 1, 3, { InitiatorName: iqn, SessionType: 'Normal', TargetName: target, ImmediateData: 'No' })
    expect((await scsi(far, read10(0, 1), { read: 512 })).data[0]).toBe('r'.charCodeAt(0))
    expect(await scsi(far, write10(0, 1), { write: Buffer.alloc(512) })).toMatchObject({ status: 2, sense: '7/27/0' })
    expect((await scsi(far, [0x1a, 0, 0x3f, 0, 255, 0], { read: 255 })).data[2]).toBe(0x90)
    arrays.b.power(false)
    await expect(scsi(far, read10(0, 1), { read: 512 })).rejects.toThrow('closed')
  })
})
