/**
 * The iSCSI ports of an array: volumes as LUNs, so that a real host attaches them and its writes go through the snapshots and
 * the remote copy of the simulator. One session is one connection; error recovery level 0.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host, SimArray, Volume, World } from '../model.ts'
import { portsOf, type Port } from '../ports.ts'
import { mirrorOf } from '../remote-copy/transfers.ts'
import { catchUp } from '../time.ts'
import { presentedTo } from '../vluns.ts'
import { longestReceived, loginStep, newLogin, type LoginState } from './login.ts'
import { headerSize, keysOf, opcode, takePdus, toBytes, toKeys, type Pdu } from './pdu.ts'
import { capacityChanged, execute, extentOf, lunOf, lunsChanged, protocolError, type Done } from './scsi.ts'

export interface IscsiOptions {
  readonly world: World
  readonly array: SimArray
  readonly port: number
  /** Milliseconds that a write waits for the other array, when it goes there. */
  readonly linkLatencyMs: () => number
}

export interface IscsiTarget {
  /** `address:port` of every port. */
  readonly portals: readonly string[]
  drop(): void
  close(): Promise<void>
}

/** A write whose data has not all come. */
interface Pending {
  readonly pdu: Pdu
  readonly cdb: Buffer
  readonly data: Buffer
  received: number
  asked: number
  /** Number that the next data PDU of this burst must have. */
  dataSn: number
  tag: number
}

interface Connection {
  readonly socket: Socket
  readonly login: LoginState
  readonly port: Port
  loggedIn: boolean
  rest: Buffer
  statSn: number
  expCmdSn: number
  nextTag: number
  readonly pending: Map<number, Pending>
  /** What the host last saw, to tell it of changes. */
  seen: ReadonlyMap<number, string> | undefined
  /** LUNs that are to hear of a change with their next command. */
  readonly attention: Map<number, Done>
}

const window = 32
const noTag = 0xffff_ffff

export const serveIscsi = async ({ world, array, port: tcpPort, linkLatencyMs }: IscsiOptions): Promise<IscsiTarget> => {
  const sockets = new Set<Socket>()
  const ports = (): readonly Port[] => portsOf(array).filter(({ protocol, mode }) => protocol === 2 && mode === 2)

  const hostOf = (initiator: string): Host | undefined => array.tables.hosts.all().find(({ iscsi }) => iscsi.some((name) => name.toLowerCase() === initiator.toLowerCase()))

  const unitsOf = ({ login, port }: Connection): ReadonlyMap<number, Volume> => {
    const host = login.initiator === undefined ? undefined : hostOf(login.initiator)
    return new Map(host === undefined ? [] : presentedTo(array, host.name, port.portPos).map(({ lun, volume }) => [lun, volume]))
  }

  const begin = (code: number, pdu: Pick<Pdu, 'itt'>, flags = 0x80): Buffer => {
    const header = Buffer.alloc(headerSize)
    header[0] = code
    header[1] = flags
    header.writeUInt32BE(pdu.itt, 16)
    return header
  }
  /** Every answer carries the numbers of the session; one with a status takes the next of them. */
  const send = (connection: Connection, header: Buffer, data?: Buffer, counts = true): void => {
    header.writeUInt32BE(connection.statSn, 24)
    header.writeUInt32BE(connection.expCmdSn, 28)
    header.writeUInt32BE((connection.expCmdSn + window - 1) >>> 0, 32)
    if (counts) connection.statSn = (connection.statSn + 1) >>> 0
    connection.socket.write(toBytes(header, data))
  }

  const onLogin = (connection: Connection, pdu: Pdu): void => {
    if (connection.statSn === 0) connection.expCmdSn = pdu.header.readUInt32BE(24)
    const step = loginStep(connection.login, pdu, { targetName: connection.port.iSCSIName ?? '', hostOf })
    const header = begin(opcode.loginResponse, pdu, step.flags)
    pdu.header.copy(header, 8, 8, 14)
    if (step.done) header.writeUInt16BE(1, 14)
    if (step.refusal !== undefined) {
      header.writeUInt8(step.refusal[0], 36)
      header.writeUInt8(step.refusal[1], 37)
    }
    send(connection, header, toKeys(step.keys))
    connection.loggedIn = step.done
    if (step.refusal !== undefined) connection.socket.end()
  }

  const onText = async (connection: Connection, pdu: Pdu): Promise<void> => {
    const header = begin(opcode.textResponse, pdu)
    header.writeUInt32BE(noTag, 20)
    const targets = ports().flatMap(({ iSCSIName, IPAddr }): readonly (readonly [string, string])[] => [['TargetName', iSCSIName ?? ''], ['TargetAddress', `${IPAddr}:${boundPort()},21`]])
    const asked = keysOf(pdu.data).get('SendTargets')
    const shown = asked === undefined ? [] : asked === 'All' || asked === '' ? targets : targets.filter((_, index) => targets[index - (index % 2)]?.[1] === asked)
    send(connection, header, toKeys(shown))
  }

  /** The data of a read in pieces, the last with the status; or the status alone. `writes`: bytes that a write's CDB is about, which may be others than were announced. */
  const respond = (connection: Connection, pdu: Pdu, { status, data, sense }: Done, writes = pdu.header.readUInt32BE(20)): void => {
    const expected = pdu.header.readUInt32BE(20)
    const reads = (pdu.header.readUInt8(1) & 0x40) !== 0
    const given = data === undefined || !reads ? Buffer.alloc(0) : data.subarray(0, expected)
    const actual = reads ? data?.length ?? 0 : status === 0 ? writes : 0
    const residual = Math.abs(expected - actual)
    const residualFlag = actual < expected ? 0x02 : actual > expected ? 0x04 : 0
    if (given.length > 0 && status === 0) {
      const { longestSent } = connection.login.agreed
      for (let at = 0, number = 0; at < given.length; at += longestSent, number++) {
        const last = at + longestSent >= given.length
        const header = begin(opcode.dataIn, pdu, last ? 0x81 | residualFlag : 0)
        header.writeUInt32BE(noTag, 20)
        header.writeUInt32BE(number, 36)
        header.writeUInt32BE(at, 40)
        if (last) header.writeUInt32BE(residual, 44)
        send(connection, header, given.subarray(at, at + longestSent), last)
      }
      return
    }
    const header = begin(opcode.response, pdu, 0x80 | residualFlag)
    header.writeUInt8(status, 3)
    header.writeUInt32BE(residual, 44)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(sense?.length ?? 0)
    send(connection, header, sense === undefined ? undefined : Buffer.concat([length, sense]))
  }

  /** Tells every LUN once that what the host sees has changed, or that its volume has grown. */
  const noticeChanges = (connection: Connection, units: ReadonlyMap<number, Volume>): void => {
    const now = new Map([...units].map(([lun, { id, sizeMiB }]): readonly [number, string] => [lun, `${id}/${sizeMiB}`]))
    const { seen } = connection
    connection.seen = now
    if (seen === undefined) return
    const idOf = (text: string | undefined): string | undefined => text?.split('/')[0]
    const differ = [...new Set([...seen.keys(), ...now.keys()])].filter((lun) => seen.get(lun) !== now.get(lun))
    if (differ.some((lun) => idOf(seen.get(lun)) !== idOf(now.get(lun)))) for (const lun of now.keys()) connection.attention.set(lun, lunsChanged)
    else for (const lun of differ) connection.attention.set(lun, capacityChanged)
  }
  /** INQUIRY, REPORT LUNS and REQUEST SENSE are answered whatever is pending (SAM-5 section 5.14). */
  const alwaysAnswered = new Set([0x12, 0xa0, 0x03])

  const run = async (connection: Connection, pdu: Pdu, cdb: Buffer, data: Buffer): Promise<void> => {
    catchUp(world)
    const lun = lunOf(pdu.header.subarray(8, 16))
    const units = unitsOf(connection)
    noticeChanges(connection, units)
    const attention = alwaysAnswered.has(cdb[0] ?? 0) ? undefined : connection.attention.get(lun)
    if (attention !== undefined) {
      connection.attention.delete(lun)
      return respond(connection, pdu, attention)
    }
    const volume = units.get(lun)
    const numbers = ports()
    const extent = extentOf(cdb)
    const waits = volume !== undefined && extent?.writes === true && linkLatencyMs() > 0 && mirrorOf(world, array, volume) !== undefined
    if (waits) await sleep(linkLatencyMs())
    respond(connection, pdu, execute({
      world, array, volume, luns: [...units.keys()].sort((one, other) => one - other), port: 1 + numbers.findIndex(({ portWWN }) => portWWN === connection.port.portWWN), ports: numbers.length,
    }, cdb, data), extent?.writes === true ? extent.length : 0)
  }

  const askForData = (connection: Connection, pending: Pending): void => {
    const length = Math.min(pending.data.length - pending.received, connection.login.agreed.longestBurst)
    const header = begin(opcode.readyToTransfer, pending.pdu)
    pending.pdu.header.copy(header, 8, 8, 16)
    pending.tag = connection.nextTag++
    pending.dataSn = 0
    header.writeUInt32BE(pending.tag, 20)
    header.writeUInt32BE(pending.asked++, 36)
    header.writeUInt32BE(pending.received, 40)
    header.writeUInt32BE(length, 44)
    send(connection, header, undefined, false)
  }

  const onCommand = async (connection: Connection, pdu: Pdu): Promise<void> => {
    const cdb = pdu.header.subarray(32, 48)
    const writes = (pdu.header.readUInt8(1) & 0x20) !== 0
    const expected = pdu.header.readUInt32BE(20)
    if (!writes || pdu.data.length >= expected) return run(connection, pdu, cdb, pdu.data)
    const data = Buffer.alloc(expected)
    pdu.data.copy(data)
    const pending: Pending = { pdu, cdb, data, received: pdu.data.length, asked: 0, dataSn: 0, tag: noTag }
    connection.pending.set(pdu.itt, pending)
    askForData(connection, pending)
  }

  const onData = async (connection: Connection, pdu: Pdu): Promise<void> => {
    const pending = connection.pending.get(pdu.itt)
    if (pending === undefined) return
    const offset = pdu.header.readUInt32BE(40)
    if (pdu.header.readUInt32BE(36) !== pending.dataSn++ || offset !== pending.received || offset + pdu.data.length > pending.data.length) {
      connection.pending.delete(pdu.itt)
      return respond(connection, pending.pdu, protocolError)
    }
    pdu.data.copy(pending.data, offset)
    pending.received += pdu.data.length
    if ((pdu.header.readUInt8(1) & 0x80) === 0) return
    if (pending.received < pending.data.length) return askForData(connection, pending)
    connection.pending.delete(pdu.itt)
    return run(connection, pending.pdu, pending.cdb, pending.data)
  }

  const onNop = async (connection: Connection, pdu: Pdu): Promise<void> => {
    if (pdu.itt === noTag) return
    const header = begin(opcode.nopIn, pdu)
    pdu.header.copy(header, 8, 8, 16)
    header.writeUInt32BE(noTag, 20)
    send(connection, header, pdu.data)
  }

  const onTaskManagement = async (connection: Connection, pdu: Pdu): Promise<void> => {
    connection.pending.delete(pdu.header.readUInt32BE(20))
    send(connection, begin(opcode.taskManagementResponse, pdu))
  }

  const onLogout = async (connection: Connection, pdu: Pdu): Promise<void> => {
    send(connection, begin(opcode.logoutResponse, pdu))
    connection.socket.end()
  }

  const reject = async (connection: Connection, pdu: Pdu): Promise<void> => {
    const header = begin(opcode.reject, { itt: noTag })
    // Reason: the command is not supported.
    header[2] = 0x05
    send(connection, header, pdu.header)
  }

  const handlers: Readonly<Record<number, (connection: Connection, pdu: Pdu) => Promise<void>>> = {
    [opcode.command]: onCommand, [opcode.dataOut]: onData, [opcode.nopOut]: onNop, [opcode.text]: onText, [opcode.taskManagement]: onTaskManagement, [opcode.logout]: onLogout,
  }

  const handle = async (connection: Connection, pdu: Pdu): Promise<void> => {
    if (!connection.loggedIn) {
      if (pdu.opcode !== opcode.login) return void connection.socket.destroy()
      return onLogin(connection, pdu)
    }
    if (!pdu.immediate && pdu.opcode !== opcode.dataOut) {
      // On one connection commands come in order; any other number is to be ignored (RFC 7143 section 4.2.2.1).
      if (pdu.header.readUInt32BE(24) !== connection.expCmdSn) return
      connection.expCmdSn = (connection.expCmdSn + 1) >>> 0
    }
    await (handlers[pdu.opcode] ?? reject)(connection, pdu)
  }

  const onSocket = (port: Port, socket: Socket): void => {
    if (!array.powered) return void socket.destroy()
    sockets.add(socket)
    socket.setNoDelay(true)
    const connection: Connection = {
      socket, port, login: newLogin(), loggedIn: false, rest: Buffer.alloc(0), statSn: 0, expCmdSn: 1, nextTag: 1, pending: new Map(), seen: undefined, attention: new Map(),
    }
    let turn = Promise.resolve()
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (part: Buffer) => {
      try {
        const { pdus, rest } = takePdus(connection.rest.length === 0 ? part : Buffer.concat([connection.rest, part]), longestReceived)
        connection.rest = rest
        for (const pdu of pdus) turn = turn.then(() => handle(connection, pdu)).catch(() => void socket.destroy())
      } catch {
        socket.destroy()
      }
    })
  }

  const servers: Server[] = []
  const boundPort = (): number => {
    const bound = servers[0]?.address()
    return typeof bound === 'object' && bound !== null ? bound.port : tcpPort
  }
  for (const port of ports()) {
    const server = createServer((socket) => onSocket(port, socket))
    await new Promise<void>((resolve, reject_) => server.once('error', reject_).listen(servers.length === 0 ? tcpPort : boundPort(), port.IPAddr, resolve))
    servers.push(server)
  }
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    portals: ports().map(({ IPAddr }) => `${IPAddr}:${boundPort()}`),
    drop,
    close: async () => {
      drop()
      for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
