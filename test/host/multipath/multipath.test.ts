import { describe, expect, it } from 'vitest'
import { addPathCommand, flushMapCommand, resizeMapCommand, showDaemonCommand, showMapsCommand } from '../../../host/multipath/build.ts'
import { parseMaps } from '../../../host/multipath/parse.ts'

const line = (command: { readonly argv: readonly string[] }): string => command.argv.join(' ')

// Recorded: multipathd show maps json, multipath-tools 0.9.4, one of two paths cut off; shortened.
const maps = `{
   "major_version": 0,
   "minor_version": 1,
   "maps": [{
      "name" : "mpatha",
      "uuid" : "36001405aaaaaaaa00004000800000000",
      "sysfs" : "dm-0",
      "queueing" : "12 chk",
      "paths" : 1,
      "dm_st" : "active",
      "path_groups": [{
         "selector" : "service-time 0",
         "pri" : 50,
         "group" : 1,
         "paths": [{ "dev" : "sda", "dev_t" : "8:0", "dm_st" : "active", "dev_st" : "running", "chk_st" : "ready", "checker" : "tur" },
                   { "dev" : "sdb", "dev_t" : "8:16", "dm_st" : "failed", "dev_st" : "running", "chk_st" : "faulty", "checker" : "tur" }]
      }]
   }]
}
`

describe('multipath', () => {
  it('is asked for its maps as JSON, and told to add, resize and drop one', () => {
    expect([showDaemonCommand, showMapsCommand, addPathCommand('sda'), resizeMapCommand('mpatha'), flushMapCommand('mpatha')].map(line)).toEqual([
      'multipathd show daemon', 'multipathd show maps json', 'multipathd add path sda', 'multipathd resize map mpatha', 'multipath -f mpatha',
    ])
  })

  it('tells of every map its WWID and what the checker found on each path', () => {
    expect(parseMaps(maps)).toEqual([{ name: 'mpatha', wwid: '36001405aaaaaaaa00004000800000000', paths: [{ disk: 'sda', checked: 'ready' }, { disk: 'sdb', checked: 'faulty' }] }])
    expect(parseMaps('{ "major_version": 0, "minor_version": 1, "maps": [] }')).toEqual([])
  })

  it('that answers no JSON is an error, and not a host without maps', () => {
    expect(() => parseMaps('error -5 receiving packet\n')).toThrow(/something else than expected/)
    expect(() => parseMaps('{}')).toThrow(/something else than expected/)
  })
})
