import { describe, expect, it } from 'vitest'
import {
  deleteDiscoveryRecordCommand, deleteFaceCommand, deleteRecordCommand, discoverByRecordCommand, discoverCommand, loginCommand, logoutCommand, nameFaceCommand,
  newDiscoveryRecordCommand, newFaceCommand, newRecordCommand, rescanCommand,
} from '../../../host/iscsi/build.ts'

const portal = { address: '192.0.2.10', port: 3260 }
const target = { ...portal, iqn: 'iqn.2001-04.com.example:disks', group: 1 }
const line = (command: { readonly argv: readonly string[] }): string => command.argv.join(' ')

describe('command lines of iscsiadm', () => {
  it('discover without leaving a trace in the database, and through no interface but the default one', () => {
    expect(line(discoverCommand(portal, 20_000))).toBe('iscsiadm -m discovery -t sendtargets -p 192.0.2.10:3260 -I default -o nonpersistent')
    expect(line(discoverByRecordCommand(portal, 20_000))).toBe('iscsiadm -m discoverydb -t sendtargets -p 192.0.2.10:3260 --discover -I default -o nonpersistent')
    expect(line(newDiscoveryRecordCommand(portal))).toBe('iscsiadm -m discoverydb -t sendtargets -p 192.0.2.10:3260 -o new')
    expect(line(deleteDiscoveryRecordCommand(portal))).toBe('iscsiadm -m discoverydb -t sendtargets -p 192.0.2.10:3260 -o delete')
  })

  it('name a record by target, portal with group, and interface', () => {
    expect(line(newRecordCommand(target, 'default'))).toBe('iscsiadm -m node -T iqn.2001-04.com.example:disks -p 192.0.2.10:3260,1 -I default -o new')
    expect(line(deleteRecordCommand(target, 'sm-1'))).toBe('iscsiadm -m node -T iqn.2001-04.com.example:disks -p 192.0.2.10:3260,1 -I sm-1 -o delete')
    expect(line(loginCommand(target, 'default', 90_000))).toBe('iscsiadm -m node -T iqn.2001-04.com.example:disks -p 192.0.2.10:3260,1 -I default --login')
  })

  it('put a v6 address in brackets', () => {
    expect(line(newRecordCommand({ ...target, address: '2001:db8::10' }, 'default'))).toContain('-p [2001:db8::10]:3260,1 ')
  })

  it('work on one session by its number', () => {
    expect(line(rescanCommand(7))).toBe('iscsiadm -m session -r 7 --rescan')
    expect(line(logoutCommand(7))).toBe('iscsiadm -m session -r 7 -u')
  })

  it('give an interface another initiator name', () => {
    expect(line(newFaceCommand('sm-1'))).toBe('iscsiadm -m iface -I sm-1 -o new')
    expect(line(nameFaceCommand('sm-1', 'iqn.2024-01.org.example:other'))).toBe('iscsiadm -m iface -I sm-1 -o update -n iface.initiatorname -v iqn.2024-01.org.example:other')
    expect(line(deleteFaceCommand('sm-1'))).toBe('iscsiadm -m iface -I sm-1 -o delete')
  })

  it('take what is gone already for done', () => {
    expect(logoutCommand(7).accept).toEqual([0, 21, 22])
    expect(deleteRecordCommand(target, 'default').accept).toEqual([0, 21])
    expect(loginCommand(target, 'default', 1).accept).toEqual([0, 15])
  })
})
