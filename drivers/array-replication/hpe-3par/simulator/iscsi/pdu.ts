/** iSCSI PDUs on a stream: a header of 48 bytes, then padded data (RFC 7143 section 11.2). No digests, no additional headers of ours. */

export const headerSize = 48

/** Opcodes, RFC 7143 section 11.2.1.2. */
export const opcode = {
  nopOut: 0x00, command: 0x01, taskManagement: 0x02, login: 0x03, text: 0x04, dataOut: 0x05, logout: 0x06,
  nopIn: 0x20, response: 0x21, taskManagementResponse: 0x22, loginResponse: 0x23, textResponse: 0x24, dataIn: 0x25, logoutResponse: 0x26, readyToTransfer: 0x31, reject: 0x3f,
} as const

export interface Pdu {
  readonly header: Buffer
  readonly opcode: number
  /** Not counted in the order of commands. */
  readonly immediate: boolean
  readonly data: Buffer
  readonly itt: number
}

const padded = (length: number): number => Math.ceil(length / 4) * 4

/** Takes whole PDUs from the front of what has arrived; what is left stays for the next time. Nothing may be longer than `longest`. */
export const takePdus = (arrived: Buffer, longest: number): { readonly pdus: readonly Pdu[]; readonly rest: Buffer } => {
  const pdus: Pdu[] = []
  let at = 0
  while (arrived.length - at >= headerSize) {
    const extra = arrived.readUInt8(at + 4) * 4
    const length = arrived.readUIntBE(at + 5, 3)
    if (length > longest) throw new Error(`a PDU of ${length} bytes, where ${longest} were agreed on`)
    const end = at + headerSize + extra + padded(length)
    if (arrived.length < end) break
    const header = arrived.subarray(at, at + headerSize)
    const start = at + headerSize + extra
    pdus.push({ header, opcode: header.readUInt8(0) & 0x3f, immediate: (header.readUInt8(0) & 0x40) !== 0, data: arrived.subarray(start, start + length), itt: header.readUInt32BE(16) })
    at = end
  }
  return { pdus, rest: arrived.subarray(at) }
}

/** A PDU to send: the header with its length filled in, and the padded data. */
export const toBytes = (header: Buffer, data: Buffer = Buffer.alloc(0)): Buffer => {
  header.writeUIntBE(data.length, 5, 3)
  return Buffer.concat([header, data, Buffer.alloc(padded(data.length) - data.length)])
}

export const keysOf = (data: Buffer): ReadonlyMap<string, string> =>
  new Map(data.toString('latin1').split('\0').filter((pair) => pair.includes('=')).map((pair): readonly [string, string] => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))

export const toKeys = (pairs: readonly (readonly [string, string])[]): Buffer => Buffer.from(pairs.map(([key, value]) => `${key}=${value}\0`).join(''), 'latin1')
