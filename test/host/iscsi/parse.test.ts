import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editRecord, isRecord, parseDiscovery, parseInitiatorName } from '../../../host/iscsi/parse.ts'

describe('what iscsiadm prints', () => {
  it('of a discovery: every portal with its group and target', () => {
    expect(parseDiscovery('127.0.0.1:3260,1 iqn.2024-01.org.example:t1\n127.0.0.2:3260,2 iqn.2024-01.org.example:t1\n[2001:db8::10]:3261,1 iqn.2024-01.org.example:t2\n')).toEqual([
      { address: '127.0.0.1', port: 3260, group: 1, iqn: 'iqn.2024-01.org.example:t1' },
      { address: '127.0.0.2', port: 3260, group: 2, iqn: 'iqn.2024-01.org.example:t1' },
      { address: '2001:db8::10', port: 3261, group: 1, iqn: 'iqn.2024-01.org.example:t2' },
    ])
  })

  it('beside the portals is passed over', () => {
    expect(parseDiscovery('')).toEqual([])
    expect(parseDiscovery('iscsiadm: Max file limits 1024 524288\n\n127.0.0.1:3260,1 iqn.2024-01.org.example:t1 \n')).toHaveLength(1)
  })
})

describe('the name of the initiator', () => {
  it('is read from its file, comments or not', () => {
    expect(parseInitiatorName('## DO NOT EDIT OR REMOVE THIS FILE!\n## If you remove this file, the iSCSI daemon will not start.\nInitiatorName=iqn.1993-08.org.debian:01:8d1f2c4b5e6\n')).toBe('iqn.1993-08.org.debian:01:8d1f2c4b5e6')
    expect(parseInitiatorName('# InitiatorName=iqn.1993-08.org.debian:01:old\n')).toBeUndefined()
    expect(parseInitiatorName('GenerateName=yes\n')).toBeUndefined()
  })
})

// Recorded: iscsiadm -m node -T ... -o new, open-iscsi 2.1.8; shortened.
const record = `# BEGIN RECORD 2.1.8
node.name = iqn.2024-01.org.example:t1
node.tpgt = 1
node.startup = automatic
iface.iscsi_ifacename = default
node.session.auth.authmethod = CHAP
node.session.auth.username = before
node.session.auth.password = old secret
node.session.auth.username_in = target
node.session.auth.password_in = old other secret
node.session.auth.chap_algs = MD5
node.conn[0].timeo.login_timeout = 15
# END RECORD
`

describe('a record file', () => {
  it('gets new values, loses those that are taken away, and keeps the rest', () => {
    const edited = editRecord(record, {
      'node.startup': 'manual', 'node.session.auth.username': 'alice', 'node.session.auth.password': 'p"a $s#= w%d', 'node.session.auth.username_in': undefined,
      'node.session.auth.password_in': undefined, 'node.conn[0].timeo.login_timeout': '5',
    })
    expect(edited.split('\n')).toEqual([
      '# BEGIN RECORD 2.1.8', 'node.name = iqn.2024-01.org.example:t1', 'node.tpgt = 1', 'iface.iscsi_ifacename = default', 'node.session.auth.authmethod = CHAP', 'node.session.auth.chap_algs = MD5',
      'node.startup = manual', 'node.session.auth.username = alice', 'node.session.auth.password = p"a $s#= w%d', 'node.conn[0].timeo.login_timeout = 5', '# END RECORD', '',
    ])
    expect(isRecord(edited)).toBe(true)
  })

  it('is the same after the same edit a second time, whatever the values', () => {
    const value = fc.string({ unit: fc.constantFrom(...'abc =#"$%'.split('')), minLength: 1, maxLength: 12 }).filter((text) => text.trim() === text)
    fc.assert(fc.property(value, value, (one, two) => {
      const values = { 'node.session.auth.username': one, 'node.session.auth.password': two }
      const once = editRecord(record, values)
      expect(editRecord(once, values)).toBe(once)
      expect(once).toContain(`\nnode.session.auth.password = ${two}\n`)
      expect(once).not.toContain('old secret')
    }))
  })

  it('is told from a file that was cut off', () => {
    expect(isRecord(record.slice(0, 200))).toBe(false)
    expect(isRecord('')).toBe(false)
  })
})
