/** Reads what iscsiadm says and what it keeps in files (open-iscsi 2.1.8; Debian 12). */
import { parsePortal, type TargetPortal } from './portal.ts'

/**
 * Sample, `iscsiadm -m discovery -t sendtargets -p 127.0.0.1 -o nonpersistent`:
 *   127.0.0.1:3260,1 iqn.2024-01.org.example:t1
 *   127.0.0.2:3260,1 iqn.2024-01.org.example:t1
 *   [2001:db8::10]:3260,1 iqn.2024-01.org.example:t1
 */
export const parseDiscovery = (text: string): readonly TargetPortal[] =>
  text.split('\n').flatMap((line) => {
    const [, address, group, iqn] = /^(\S+),(-?\d+) (\S+)$/.exec(line.trim()) ?? []
    const portal = address === undefined ? undefined : parsePortal(address)
    return portal === undefined || iqn === undefined ? [] : [{ ...portal, iqn, group: Number(group) }]
  })

/**
 * Sample, /etc/iscsi/initiatorname.iscsi:
 *   ## DO NOT EDIT OR REMOVE THIS FILE!
 *   InitiatorName=iqn.1993-08.org.debian:01:8d1f2c4b5e6
 */
export const parseInitiatorName = (text: string): string | undefined => /^\s*InitiatorName\s*=\s*(\S+)/m.exec(text)?.[1]

/**
 * Changes values of a record file; undefined takes a line away. Everything else stays as it was.
 *
 * Sample, /etc/iscsi/nodes/iqn.2024-01.org.example:t1/127.0.0.1,3260,1/default, shortened:
 *   # BEGIN RECORD 2.1.8
 *   node.name = iqn.2024-01.org.example:t1
 *   node.tpgt = 1
 *   node.startup = manual
 *   iface.iscsi_ifacename = default
 *   node.session.auth.authmethod = None
 *   node.conn[0].timeo.login_timeout = 15
 *   # END RECORD
 */
export const editRecord = (text: string, values: Readonly<Record<string, string | undefined>>): string => {
  const end = /^# END RECORD/
  const kept = text.split('\n').filter((line) => line !== '' && !end.test(line) && !Object.hasOwn(values, line.split(' = ')[0] ?? ''))
  const set = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`${name} = ${value}`]))
  return [...kept, ...set, '# END RECORD', ''].join('\n')
}

export const isRecord = (text: string): boolean => text.startsWith('# BEGIN RECORD') && /^# END RECORD/m.test(text)
