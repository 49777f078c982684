/** Several named arrays in one file. */
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../../core/errors.ts'
import { backendOf, parseBackends } from '../../../../drivers/array-replication/hpe-3par/backends.ts'

const file = `
# both sites
[DEFAULT]
host_etcd_port_number=2379
hpe3par_api_url=https://192.0.2.10:8080/api/v1
hpe3par_password=with = and # in it

[ActivePassiveRepBackend]
hpe3par_api_url = https://192.0.2.11:8080/api/v1
replication_device = backend_id:array-b,
                     replication_mode:synchronous,
                     cpg_map:A:B
hpe3par_cpg=A
`

describe('a file of arrays', () => {
  it('has each by its name, and DEFAULT when none is named', () => {
    const backends = parseBackends(file)
    expect([...backends.keys()]).toEqual(['DEFAULT', 'ActivePassiveRepBackend'])
    expect(backendOf(backends)).toEqual({ hpe3par_api_url: 'https://192.0.2.10:8080/api/v1', hpe3par_password: 'with = and # in it' })
    expect(backendOf(backends, 'ActivePassiveRepBackend')).toEqual({
      hpe3par_api_url: 'https://192.0.2.11:8080/api/v1', replication_device: 'backend_id:array-b, replication_mode:synchronous, cpg_map:A:B', hpe3par_cpg: 'A',
    })
    expect(() => backendOf(backends, 'other')).toThrow(/"other"/)
  })

  it('takes keys without any name for DEFAULT', () => {
    expect(backendOf(parseBackends('hpe3par_cpg=A\n'))).toEqual({ hpe3par_cpg: 'A' })
  })

  it.each([
    ['a misspelt key', '[A]\nhpe3par_pasword=top-secret\n', 'A.hpe3par_pasword'],
    ['a key twice', '[A]\nhpe3par_cpg=x\nhpe3par_cpg=top-secret\n', 'A.hpe3par_cpg'],
    ['a name twice', '[A]\n[A]\n', 'A'],
    ['a line that is nothing', '[A]\ntop-secret\n', 'A'],
  ])('refuses %s and repeats no value', (_, text, field) => {
    const error = (() => {
      try {
        return parseBackends(text)
      } catch (thrown) {
        return thrown
      }
    })()
    if (!(error instanceof StorageError)) throw new Error('not refused')
    expect(error.facts.field).toBe(field)
    expect(JSON.stringify([error.message, error.facts])).not.toContain('top-secret')
  })
})
