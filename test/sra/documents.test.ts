import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commandNames, requestShape, responseShape, type CommandName } from '../../sra/schema/index.ts'
import { readDocument } from '../../sra/read.ts'
import { commandNamed, readRequest, requestValue, writeRequest } from '../../sra/request.ts'
import { readResponse, writeResponse } from '../../sra/response.ts'
import { readTree, sraNamespace, type XmlElement } from '../../sra/tree.ts'
import { writeDocument } from '../../sra/write.ts'
import { anyOf } from './arbitrary.ts'

const setting: XmlElement = { name: 'ReplicationSettings', namespace: sraNamespace, attributes: new Map([['version', '1']]), children: [], text: 'a<b', line: 0 }
/** Free content is the adapter's own: one that stands for all. */
const filled = (value: unknown): unknown => JSON.parse(JSON.stringify(value), (_, part: unknown) => (typeof part === 'object' && part !== null && (part as { kind?: unknown }).kind === 'free' ? setting : part))
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (key, part: unknown) => (key === 'line' ? 0 : part instanceof Map ? [...part] : part)))

describe.each(commandNames)('%s', (command: CommandName) => {
  it('reads back every response that can be written', async () => {
    await fc.assert(fc.asyncProperty(anyOf(responseShape(command)).map(filled), async (value) => {
      const { value: read, problems } = readDocument(await readTree(writeDocument('Response', responseShape(command), value)), responseShape(command))
      expect(problems).toEqual([])
      expect(plain(read)).toEqual(plain(value))
    }), { numRuns: 20 })
  })

  it('reads back every request that can be written', async () => {
    await fc.assert(fc.asyncProperty(anyOf(requestShape(command)).map(filled), async (value) => {
      const asked = { ...(value as object), name: command }
      const { value: read, problems } = requestValue(await readTree(writeDocument('Command', requestShape(command), asked)), command)
      expect(problems).toEqual([])
      expect(plain(read)).toEqual(plain(asked))
    }), { numRuns: 20 })
  })
})

const connection = '<Connection id="primary"><Addresses><Address id="spA">10.20.30.40</Address></Addresses><Username>admin</Username><Password>secret</Password></Connection>'
const request = (name: string, inner: string, connections = `<Connections>${connection}</Connections>`): string =>
  `<Command xmlns="${sraNamespace}"><Name>${name}</Name>${connections}<OutputFile>/r.xml</OutputFile><StatusFile>/s.xml</StatusFile><LogLevel>info</LogLevel><LogDirectory>/l</LogDirectory>${inner}</Command>`
const pair = '<ArrayId>A</ArrayId><PeerArrayId>B</PeerArrayId>'

describe('a request', () => {
  it('is read with its envelope, its connections and its parameters', async () => {
    const { request: read } = await readRequest(request('discoverDevices', `<DiscoverDevicesParameters>${pair}</DiscoverDevicesParameters>`))
    expect(read).toEqual({
      command: 'discoverDevices', outputFile: '/r.xml', statusFile: '/s.xml', logLevel: 'info', logDirectory: '/l',
      connections: [{ id: 'primary', addresses: [{ id: 'spA', text: '10.20.30.40' }], username: 'admin', password: 'secret' }], parameters: { arrayId: 'A', peerArrayId: 'B' },
    })
  })

  it('is read in any order, with a loose Connection, with unknown elements and without what may be missing', async () => {
    const { request: read } = await readRequest(`<Command xmlns="${sraNamespace}"><SyncOnceParameters><isolationRequired/>${pair}<SourceDevices><SourceDevice id="x" staticSitePreference="false"/></SourceDevices></SyncOnceParameters><Later/><OutputFile>o</OutputFile>${connection}<Name> syncOnce </Name><LogLevel>loud</LogLevel></Command>`)
    expect(read).toMatchObject({ command: 'syncOnce', logLevel: 'verbose', connections: [{ id: 'primary' }], parameters: { sourceDevices: [{ id: 'x' }] } })
  })

  it.each([
    ['prepareReverseReplication', 'ReverseReplicationParameters'], ['reverseReplication', 'ReverseReplicationParameters'], ['restoreReplication', 'PrepareRestoreReplicationParameters'],
  ])('of %s may call its parameters %s and its devices source devices', async (name, parameters) => {
    const { request: read } = await readRequest(request(name, `<${parameters}>${pair}<SourceDevices><SourceDevice id="x"/></SourceDevices></${parameters}>`))
    expect(read).toMatchObject({ command: name, parameters: { devices: [{ id: 'x' }] } })
  })

  it('of queryReplicationSettings may use the name of the example', () => {
    expect(commandNamed('replicationSettings')).toBe('queryReplicationSettings')
  })

  it.each([['QueryInfo'], ['__proto__'], ['constructor'], ['failover2']])('for the command %s is refused with code 100', async (name) => {
    expect((await readRequest(request(name, ''))).refusal).toEqual({ code: 100, placeholders: { Command: name } })
  })

  it.each([
    ['without parameters', request('failover', ''), /no FailoverParameters/],
    ['without connections', request('failover', '<FailoverParameters><ArrayId>A</ArrayId></FailoverParameters>', ''), /no Connections/],
    ['without an array', request('failover', '<FailoverParameters/>'), /no ArrayId/],
    ['with a key twice', request('failover', '<FailoverParameters><ArrayId>A</ArrayId><TargetDevices><TargetDevice key="k"/><TargetDevice key="k"/></TargetDevices></FailoverParameters>'), /TargetDevice\[key="k"\].*a second TargetDevice/],
    ['with two arrays', request('failover', '<FailoverParameters><ArrayId>A</ArrayId><ArrayId>B</ArrayId></FailoverParameters>'), /more than one ArrayId/],
    ['for both sides', request('syncOnce', `<SyncOnceParameters>${pair}<SourceDevices><SourceDevice id="a"/></SourceDevices><TargetDevices><TargetDevice key="b"/></TargetDevices></SyncOnceParameters>`), /SourceDevices together with TargetDevices/],
    ['without a name', request('', ''), /no Name/],
  ])('%s is refused with code 1001 and the reason', async (_, xml, why) => {
    const { refusal } = await readRequest(xml)
    expect(refusal).toMatchObject({ code: 1001, placeholders: { Found: expect.stringMatching(why) } })
    expect(JSON.stringify(refusal)).not.toContain('secret')
  })

  it.each([
    ['names no output file', `<Command xmlns="${sraNamespace}"><Name>queryInfo</Name><OutputFile> </OutputFile></Command>`],
    ['names two', `<Command xmlns="${sraNamespace}"><OutputFile>a</OutputFile><OutputFile>b</OutputFile></Command>`],
    ['is a response', `<Response xmlns="${sraNamespace}"><OutputFile>a</OutputFile></Response>`],
  ])('that %s cannot be answered', async (_, xml) => {
    await expect(readRequest(xml)).rejects.toMatchObject({ kind: 'invalidArgument' })
  })
})

describe('a response', () => {
  it('has the order of the tables, whatever the order of the value', async () => {
    const xml = writeResponse('queryInfo', { adapterInfo: { uuid: '2f6f7d0e-3c5b-4a9b-9d0e-0123456789ab', vendor: { text: 'V' }, version: '1', name: { stringId: 'N', text: 'A & B' } }, warnings: [] })
    expect(xml).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<Response xmlns="${sraNamespace}">
  <AdapterInfo>
    <Name stringId="N">A &amp; B</Name>
    <Version>1</Version>
    <Vendor>V</Vendor>
    <Uuid>2f6f7d0e-3c5b-4a9b-9d0e-0123456789ab</Uuid>
  </AdapterInfo>
</Response>
`)
  })

  it('with a key twice, a wrong state or both a result and an error is not written', () => {
    const device = { key: 'k', success: true } as const
    expect(() => writeResponse('testFailoverStop', { testFailoverStopResults: { targetDevices: [device, device] } })).toThrow(/two of key "k"/)
    const loose = (item: object): never => ({ testFailoverStopResults: { targetDevices: [item] } }) as never
    expect(() => writeResponse('testFailoverStop', loose({ key: 'k', success: true, error: { code: 1001 } }))).toThrow(/more than one/)
    expect(() => writeResponse('testFailoverStop', loose({ key: 'k' }))).toThrow(/none of them/)
    expect(() => writeResponse('discoverDevices', { replicatedDevices: { sourceDevices: [{ id: 'a', state: 'odd' as 'read-only', targetDevice: { key: 'k' } }] } })).toThrow(/read-write, read-only/)
  })

  it('is refused with every reason when it is read and is not one', async () => {
    const xml = `<Response xmlns="${sraNamespace}"><TestFailoverStopResults><TargetDevices><TargetDevice><Success/></TargetDevice><TargetDevice key="b"/></TargetDevices></TestFailoverStopResults></Response>`
    await expect(readResponse('testFailoverStop', xml)).rejects.toThrow(/no attribute key.*nothing inside; wanted: Success or Error/)
  })

  it('carries a name with a character that XML cannot hold', async () => {
    const xml = writeResponse('discoverDevices', { replicatedDevices: { sourceDevices: [{ id: 'a', name: 'x\u0001y', state: 'read-write', targetDevice: { key: 'k' } }] } })
    expect(await readResponse('discoverDevices', xml)).toMatchObject({ replicatedDevices: { sourceDevices: [{ name: 'x\ufffdy' }] } })
  })
})

it('what SRM would send is read as it was meant', async () => {
  const asked = { command: 'failover', outputFile: 'o', logLevel: 'trivia', connections: [{ id: 'p', addresses: [{ id: 'a', text: '1' }] }], parameters: { arrayId: 'A', targetDevices: [{ key: ' k ' }] } } as const
  expect((await readRequest(writeRequest(asked))).request).toEqual(asked)
})
