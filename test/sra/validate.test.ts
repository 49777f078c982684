import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CommandName } from '../../sra/schema/index.ts'
import { sraNamespace } from '../../sra/tree.ts'
import { isSound, validate } from '../../sra/validate.ts'

const response = (inner: string): string => `<Response xmlns="${sraNamespace}">${inner}</Response>`
const golden = (name: string): string => readFileSync(join(import.meta.dirname, 'golden', `${name}.response.xml`), 'utf8')
const told = async (xml: string, command?: CommandName): Promise<string> => {
  const { findings } = await validate(xml, command)
  return findings.map(({ weight, path, found, wanted, chapter }) => `${weight} ${path}: ${found} | ${wanted} | ${chapter}`).join('\n')
}

describe('misprints of the interface are found in a response', () => {
  it.each([
    ['a status "completed"', golden('querySyncStatus-target').replace('status="complete"', 'status="completed"'), /TargetDevice\[key="xxx-2-peer"\]\/DeviceSync\[id="sync-1022"\]: status="completed" \| status as inProgress, complete/],
    ['a bare warning', golden('syncOnce-source').replaceAll(/<\/?Warnings>/g, ''), /Warning\[code="500"\]: an element that does not belong here/],
    ['an id in place of a key', golden('queryReplicationSettings-target').replace('TargetGroup key', 'TargetGroup id'), /TargetGroup\[id="srm-target-1"\]: no attribute key/],
    ['no list around devices', golden('queryDeviceDetails').replaceAll(/<\/?Devices>/g, ''), /Response\/DeviceDetails: no Devices/],
    ['Target for TargetGroup', golden('discoverDevices-group-prepared').replace('<TargetGroup key', '<Target key'), /ConsistencyGroup\[id="Foo"\]: no TargetGroup/],
    ['Idenity', golden('failover').replaceAll('Identity>', 'Idenity>'), /Idenity: an element that does not belong here/],
    ['a wrong order', golden('discoverArrays').replace(/(<Name>Celerra<\/Name>)\s*(<Vendor.*<\/Vendor>)/, '$2$1'), /Model\/Name: it stands behind Vendor \| the order Name, Vendor/],
  ])('%s', async (_, xml, what) => {
    const text = await told(xml)
    expect(text).toMatch(what)
    expect(text).toMatch(/^wrong/)
  })
})

describe('what one part of a response says of another is held', () => {
  it.each([
    ['a command that must be there', 'queryCapabilities', (xml: string) => xml.replace('<Command name="failover"/>', ''), /Commands: no failover/],
    ['a command nobody knows', 'queryCapabilities', (xml: string) => xml.replace('name="checkFailover"', 'name="CheckFailover"'), /"CheckFailover" \| names of commands/],
    ['a preparation without its command', 'queryCapabilities', (xml: string) => xml.replace(/<Command name="reverseReplication">[^]*?<\/Command>/, ''), /prepareReverseReplication"\]: no reverseReplication/],
    ['a restore at the target alone', 'queryCapabilities', (xml: string) => xml.replace('<Command name="prepareRestoreReplication"/>', '').replace(/(name="restoreReplication">\s*<ExecutionLocation>)source/, '$1target'), /ExecutionLocation target \| prepareRestoreReplication/],
    ['a location where none may be', 'queryCapabilities', (xml: string) => xml.replace('<Command name="failover"/>', '<Command name="failover"><ExecutionLocation>target</ExecutionLocation></Command>'), /failover"\]: ExecutionLocation/],
    ['strings without locales', 'queryCapabilities', (xml: string) => xml.replace(/<Locales>[^]*?<\/Locales>/, ''), /queryStrings"\]: no Locales/],
    ['FC without identification', 'queryCapabilities', (xml: string) => xml.replace(/<DeviceIdentification>.*<\/DeviceIdentification>/, ''), /none with FC, iSCSI/],
    ['a LUN a target without its identification', 'queryCapabilities', (xml: string) => xml.replace('initiator+number+target', 'wwn'), /OneLunPerIScsiTarget/],
    ['a number without ports', 'discoverDevices-identity-number', (xml: string) => xml.replace(/<StoragePorts>[^]*<\/StoragePorts>/, ''), /no target and no StoragePorts/],
    ['a group of initiators that is not there', 'discoverDevices-identity-initiator-number', (xml: string) => xml.replace('<InitiatorGroup id="group-b">', '<InitiatorGroup id="group-c">'), /initiatorGroupId "group-b"/],
    ['an NFS volume without the address of its server', 'discoverDevices-identity-nfs', (xml: string) => xml.replace(/<StoragePorts>[^]*<\/StoragePorts>/, ''), /no StoragePort of type NFS/],
    ['a port whose name is not of its kind', 'discoverDevices-identity-number', (xml: string) => xml.replace('iqn.1992-01.com.example:z1', '21:00'), /"21:00" \| FC: 8/],
    ['a promoted device without its state', 'discoverDevices-device-promoted', (xml: string) => xml.replace(' state="read-write"', ''), /one of id and state/],
    ['an identity of a target', 'discoverDevices-device-promoted', (xml: string) => xml.replace(' id="X-copy" state="read-write"', ''), /Identity \| Identity of a target only/],
    ['an identity of a demoted source', 'discoverDevices-device-source', (xml: string) => xml.replace('state="read-write"', 'state="read-only"'), /Identity with state read-only/],
    ['a member that is not of the kind of its group', 'discoverDevices-group-promoted', (xml: string) => xml.replace(' id="Foo-copy" state="read-write"', ''), /promoted in a group that is not/],
    ['an id twice', 'discoverDevices-group-source', (xml: string) => xml.replace('id="Y"', 'id="X"'), /a second SourceDevice of that id/],
    ['a key twice', 'discoverDevices-group-source', (xml: string) => xml.replace('"peer-of-Y"', '"peer-of-X"'), /key "peer-of-X" again/],
    ['a copy of half a group', 'discoverDevices-group-under-test', (xml: string) => xml.replace(/(<Snapshot id="Foo-snap">[^]*?)<TargetDevice key="peer-of-X">[^]*?<\/TargetDevice>/, '$1'), /other members than those of the group/],
    ['a string twice', 'queryStrings', (xml: string) => xml.replace('id="FixHint1001"', 'id="Description1001"'), /id "Description1001" again/],
    ['a brace without its partner', 'queryErrorDefinitions', (xml: string) => xml.replace('CLI at {CliAddress}', 'CLI at {CliAddress'), /a brace without its partner/],
    ['one session for two devices', 'syncOnce-source', (xml: string) => xml.replace('sync-1023', 'sync-1022'), /id "sync-1022" again/],
  ])('%s', async (_, name, change, what) => {
    const xml = change(golden(name))
    expect(xml).not.toBe(golden(name))
    expect(await told(xml)).toMatch(what)
  })
})

describe('a verdict', () => {
  it('of a request notes what a reader overlooks, and holds against it only what makes it useless', async () => {
    const verdict = await validate(`<Command xmlns="${sraNamespace}"><Name>queryInfo</Name><Later/><OutputFile>o</OutputFile></Command>`)
    expect(verdict.findings).toMatchObject([{ weight: 'note', path: 'Command/Later' }])
    expect(isSound(verdict)).toBe(true)
    expect(isSound(await validate(`<Command xmlns="${sraNamespace}"><Name>failover</Name></Command>`))).toBe(false)
  })

  it('of a request for no known command lists those there are', async () => {
    expect(await told(`<Command xmlns="${sraNamespace}"><Name>failOver</Name></Command>`)).toMatch(/the command "failOver" \| Name with one of queryInfo, .*failover/)
  })

  it('of an error needs no command', async () => {
    expect(await validate(golden('error-undefined'))).toEqual({ document: 'response', findings: [] })
    expect(await told(response('<Error><Description>d</Description></Error>'))).toMatch(/no code and no FixHint/)
  })

  it('of another answer than that of the command asked for says so', async () => {
    expect(await told(golden('failover'), 'testFailoverStop')).toMatch(/FailoverResults.* \| TestFailoverStopResults or Error/)
  })

  it('of nothing that is known names what could stand there', async () => {
    expect(await told(response('<Foo/>'))).toMatch(/Foo \| Error, or one of AdapterInfo/)
    await expect(validate(`<Foo xmlns="${sraNamespace}"/>`)).rejects.toMatchObject({ kind: 'invalidArgument' })
  })

  it('repeats no secret', async () => {
    const xml = readFileSync(join(import.meta.dirname, 'golden', 'discoverArrays.request.xml'), 'utf8').replace('secret', 'hunter2').replace('<Username>', '<Username/><Username>').replace('id="spA"', '')
    expect(await told(xml)).toMatch(/more than one Username/)
    expect(await told(xml)).not.toMatch(/hunter2/)
  })
})
