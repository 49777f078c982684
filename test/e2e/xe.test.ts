/** The driver executables as an agent starts them: arguments in, XML and exit status out. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commandLines, createMachine, waitUntil, type Ended, type Machine } from './machine.ts'

let machine: Machine
beforeAll(async () => {
  machine = await createMachine()
})
afterAll(async () => machine.remove())

const sr = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi = '98de866e-b035-4b1a-a571-613bff542b89'
const other = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'

const dconfOf = (parameters: Readonly<Record<string, string>>): string =>
  `<dconf>${Object.entries(parameters).map(([key, value]) => `<${key}>${value}</${key}>`).join('')}</dconf>`

const demo = async (dconf: string, ...args: readonly string[]): Promise<Ended> => machine.run('DemoSR', [dconf, ...args])

const succeeds = async (work: Promise<Ended>): Promise<string> => {
  const { status, stdout, stderr } = await work
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** What differs from host to host, replaced. */
const golden = (xml: string): string => xml.replaceAll(machine.directory, '<directory>').replace(/<(physical_size|physical_utilisation|utilisation)>\d+</g, '<$1>BYTES<')

describe('a call of the SM API', () => {
  it('goes through the whole life of an SR and its VDIs, with the documents of the SM API', async () => {
    const dconf = dconfOf({ location: machine.place() })
    expect(await succeeds(demo(dconf, 'sr_create', sr, '0'))).toBe('')
    expect((await demo(dconf, 'sr_scan', sr)).status).toBe(19)
    expect(await succeeds(demo(dconf, 'sr_attach', sr))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_attach', sr))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_content_type', sr))).toBe('<?xml version="1.0" ?>\n<sr>\n  <type>aio</type>\n</sr>\n')
    expect(await succeeds(demo(dconf, 'vdi_create', sr, vdi, '1048576'))).toBe('')
    expect((await demo(dconf, 'vdi_create', sr, vdi, '1048576')).status).toBe(17)
    expect(golden(await succeeds(demo(dconf, 'vdi_attach', sr, vdi)))).toMatchInlineSnapshot(`
      "<?xml version="1.0" ?>
      <sr>
        <path><directory>/place-1/98de866e-b035-4b1a-a571-613bff542b89.raw</path>
      </sr>
      "
    `)
    expect(await succeeds(demo(dconf, 'vdi_detach', sr, vdi))).toBe('')
    expect(await succeeds(demo(dconf, 'vdi_detach', sr, vdi))).toBe('')
    expect(await succeeds(demo(dconf, 'vdi_resize', sr, vdi, '2097152'))).toBe('')
    expect(await succeeds(demo(dconf, 'vdi_snapshot', sr, vdi, other))).toBe('')
    expect(await succeeds(demo(dconf, 'vdi_lock', sr, vdi, 'FALSE', 'host7/vm3'))).toBe('')
    expect((await demo(dconf, 'vdi_lock', sr, vdi, 'FALSE', 'host8/vm3')).status).toBe(37)
    expect(golden(await succeeds(demo(dconf, 'sr_scan', sr)))).toMatchInlineSnapshot(`
      "<?xml version="1.0" ?>
      <sr>
        <uuid>87b8646b-b800-9500-cb7b-af3b74e02f5c</uuid>
        <physical_utilisation>BYTES</physical_utilisation>
        <virtual_allocation>4194304</virtual_allocation>
        <physical_size>BYTES</physical_size>
        <default_vdi_visibility>True</default_vdi_visibility>
        <vdi>
          <uuid>0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53</uuid>
          <size>2097152</size>
          <utilisation>BYTES</utilisation>
          <locked>False</locked>
          <shareable>False</shareable>
          <read_only>True</read_only>
        </vdi>
        <vdi>
          <uuid>98de866e-b035-4b1a-a571-613bff542b89</uuid>
          <size>2097152</size>
          <utilisation>BYTES</utilisation>
          <locked>True</locked>
          <shareable>False</shareable>
          <read_only>False</read_only>
        </vdi>
      </sr>
      "
    `)
    expect(await succeeds(demo(dconf, 'vdi_lock', sr, vdi, 'TRUE', 'host8/vm3'))).toBe('')
    expect((await demo(dconf, 'vdi_unlock', sr, vdi, 'host7/vm3')).status).toBe(37)
    expect(await succeeds(demo(dconf, 'vdi_unlock', sr, vdi, 'host8/vm3'))).toBe('')
    expect((await demo(dconf, 'sr_delete', sr)).status).toBe(16)
    for (const one of [other, vdi, vdi]) expect(await succeeds(demo(dconf, 'vdi_delete', sr, one))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_detach', sr))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_detach', sr))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_delete', sr))).toBe('')
    expect(await succeeds(demo(dconf, 'sr_delete', sr))).toBe('')
  })

  it('probes without an SR and shows what it tried', async () => {
    const xml = await succeeds(demo(dconfOf({ location: machine.place('probed') }), 'sr_probe'))
    expect(golden(xml)).toMatchInlineSnapshot(`
      "<?xml version="1.0" ?>
      <probe>
        <candidate>
          <found>blank</found>
          <complete>True</complete>
          <says>An empty directory</says>
          <dconf>
            <location><directory>/probed</location>
          </dconf>
        </candidate>
        <tried>
          <step>list <directory>/probed</step>
          <said>it is empty</said>
        </tried>
      </probe>
      "
    `)
  })

  it('attaches an SR that this host has never heard of', async () => {
    const dconf = dconfOf({ location: machine.place() })
    const uuid = crypto.randomUUID()
    await succeeds(demo(dconf, 'sr_create', uuid, '0'))
    const second = await createMachine()
    try {
      expect((await second.run('DemoSR', [dconf, 'sr_attach', uuid])).status).toBe(0)
    } finally {
      await second.remove()
    }
  })

  it('describes its driver', async () => {
    for (const args of [['driver_info'], [dconfOf({ location: '/x' }), 'driver_info']]) {
      const { status, stdout } = await machine.run('DemoSR', args)
      expect(status).toBe(0)
      expect(stdout).toContain('<type>demo</type>')
      expect(stdout).toMatch(/<name>password<\/name>\s*<description>[^<]+<\/description>\s*<required>False<\/required>\s*<secret>True<\/secret>/)
    }
  })

  it('explains itself with examples that have the right arguments', async () => {
    const { status, stdout } = await machine.run('DemoSR', ['--help'])
    expect(status).toBe(0)
    expect(stdout).toContain(`DemoSR '<dconf><location>/srv/disks</location><login>works</login></dconf>' sr_attach`)
    expect(stdout).toContain('vdi_lock <sr-uuid> <vdi-uuid> <force> <owner>')
    expect(stdout).toMatch(/password .*\(optional, secret\)/)
  })
})

describe('FileSR', () => {
  const file = async (dconf: string, ...args: readonly string[]): Promise<Ended> => machine.run('FileSR', [dconf, ...args])

  it('shows parents after a snapshot, and names a damaged VDI beside the document that lists it', async () => {
    const location = machine.place()
    const dconf = dconfOf({ location })
    const uuid = crypto.randomUUID()
    for (const call of [['sr_create', uuid, '0'], ['sr_attach', uuid], ['vdi_create', uuid, vdi, '1048576'], ['vdi_clone', uuid, vdi, other]]) await succeeds(file(dconf, ...call))
    const xml = await succeeds(file(dconf, 'sr_scan', uuid))
    const parents = [...xml.matchAll(/<parent>([^<]+)<\/parent>/g)].map(([, parent]) => parent)
    expect(parents).toHaveLength(2)
    expect(new Set(parents).size).toBe(1)
    expect(xml).toMatch(new RegExp(`<uuid>${parents[0] ?? ''}</uuid>[^]*?<read_only>True</read_only>`))

    writeFileSync(join(location, `${other}.vhd`), Buffer.alloc(4096, 7))
    const { status, stdout, stderr } = await file(dconf, 'sr_scan', uuid)
    expect(status).toBe(0)
    expect(stdout).toContain(`<uuid>${other}</uuid>`)
    expect(stderr).toMatch(new RegExp(`^FileSR: warning: VDI ${other} cannot be used: .+\\n$`))
    expect((await file(dconf, 'vdi_attach', uuid, other)).status).toBe(5)
  })

  it('refuses a place that holds something else, and leaves it alone', async () => {
    const location = machine.place()
    writeFileSync(join(location, 'precious.txt'), 'mine')
    const ended = await file(dconfOf({ location }), 'sr_create', crypto.randomUUID(), '0')
    expect(ended).toMatchObject({ status: 17, stdout: '' })
    expect(readdirSync(location)).toEqual(['precious.txt'])
  })
})

describe('a failed call', () => {
  const dconf = dconfOf({ location: '/nonexistent' })

  it.each([
    ['ENODEV for an SR that is not attached', [dconf, 'sr_scan', sr], 19],
    ['ENODEV for a place that is not there', [dconf, 'sr_attach', sr], 19],
    ['ENOSYS for a command that does not exist', [dconf, 'sr_explode', sr], 38],
    ['EINVAL for a missing argument', [dconf, 'vdi_create', sr, vdi], 22],
    ['EINVAL for an argument too many', [dconf, 'sr_attach', sr, 'more'], 22],
    ['EINVAL for a size with a unit', [dconf, 'vdi_create', sr, vdi, '10G'], 22],
    ['EINVAL for a negative size', [dconf, 'vdi_create', sr, vdi, '-1'], 22],
    ['EINVAL for a size of zero', [dconf, 'vdi_create', sr, vdi, '0'], 22],
    ['EINVAL for a fraction of a byte', [dconf, 'vdi_create', sr, vdi, '1.5'], 22],
    ['EINVAL for a VDI that is a path', [dconf, 'vdi_delete', sr, '../../etc/passwd'], 22],
    ['EINVAL for a size that no integer holds', [dconf, 'vdi_create', sr, vdi, '9007199254740993'], 22],
    ['EINVAL for a uuid that is none', [dconf, 'sr_attach', '../../etc'], 22],
    ['EINVAL for a flag that is none', [dconf, 'vdi_lock', sr, vdi, 'perhaps', 'me'], 22],
    ['EINVAL for an unknown parameter in the dconf', [dconfOf({ location: '/x', loction: '/y' }), 'sr_attach', sr], 22],
    ['EINVAL without a command', [dconf], 22],
    ['EINVAL without anything', [], 22],
  ])('exits with %s, says so on standard error, and prints nothing', async (_, args, status) => {
    const ended = await machine.run('DemoSR', args)
    expect(ended).toMatchObject({ status, stdout: '' })
    expect(ended.stderr).toMatch(/^DemoSR: .+\n {2}remedy: .+\n$/)
  })

  it.each([
    ['a document type', '<!DOCTYPE d SYSTEM "file:///etc/passwd"><dconf><location>/x</location></dconf>'],
    ['an external entity', '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><dconf><location>&e;</location></dconf>'],
    ['an entity bomb', `<!DOCTYPE d [<!ENTITY a "${'x'.repeat(100)}"><!ENTITY b "${'&a;'.repeat(100)}">]><dconf><location>&b;</location></dconf>`],
    ['an unknown entity', '<dconf><location>&e;</location></dconf>'],
    ['a processing instruction', '<dconf><?php echo 1 ?><location>/x</location></dconf>'],
    ['attributes', '<dconf><location kind="nfs">/x</location></dconf>'],
    ['nested elements', '<dconf><location><path>/x</path></location></dconf>'],
    ['duplicates', '<dconf><location>/x</location><location>/y</location></dconf>'],
    ['text beside elements', '<dconf>hello<location>/x</location></dconf>'],
    ['two roots', '<dconf/><dconf/>'],
    ['an element that is not closed', '<dconf><location>/x</dconf>'],
    ['no XML', 'location=/x'],
    ['nothing', ''],
    ['more than 64 KiB', `<dconf><location>${'x'.repeat(65536)}</location></dconf>`],
    ['a control character', '<dconf><location>/x\u0007</location></dconf>'],
    ['a control character in disguise', '<dconf><location>/x&#7;y</location></dconf>'],
    ['names with a meaning to JavaScript', '<dconf><__proto__>1</__proto__></dconf>'],
    ['nesting without end', `<dconf>${'<a>'.repeat(2000)}${'</a>'.repeat(2000)}</dconf>`],
  ])('refuses a dconf with %s in one line, and changes nothing', async (_, dconf) => {
    const ended = await demo(dconf, 'sr_attach', sr)
    expect(ended).toMatchObject({ status: 22, stdout: '' })
    expect(ended.stderr).toMatch(/^DemoSR: sr_attach: dconf .+\n {2}remedy: .+\n$/)
    expect(ended.stderr.length).toBeLessThan(600)
    expect(readdirSync(join(machine.stateDirectory, 'srs'))).not.toContain(`${sr}.json`)
  })
})

describe('secrets in a dconf', () => {
  const secret = 'hunter22-do-not-tell'

  const everythingWritten = (directory: string): string =>
    readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n')

  it.each(['in this process', 'through the daemon'])('come back in no output, error, log or command line (%s)', async (way) => {
    const daemon = way === 'in this process' ? undefined : await machine.startDaemon()
    try {
      const location = machine.place()
      const config = (login: string): string => dconfOf({ location, password: secret, login })
      const call = async (dconf: string, ...args: readonly string[]): Promise<Ended> => machine.run('DemoSR', ['-', ...args], { stdin: dconf, env: { STORAGE_MANAGER_LOG: 'debug' } })
      const uuid = crypto.randomUUID()
      const outputs = [
        await call(config('works'), 'sr_probe'),
        await call(config('works'), 'sr_create', uuid, '0'),
        await call(config('refused'), 'sr_attach', uuid),
        await call(config('works').replace('</password>', ''), 'sr_attach', uuid),
        await call(config('works'), 'sr_attach', uuid),
        await call(config('refused'), 'sr_scan', uuid),
        await call(config('works'), 'sr_scan', uuid),
        await call(config('works'), 'nonsense', uuid),
        await machine.run('smctl', ['sr', 'list', '--json']),
        await machine.run('smctl', ['sr', 'probe', 'demo', `location=${location}`, 'password=-', '--json'], { stdin: `${secret}\n` }),
        await machine.run('smctl', ['sr', 'attach', uuid, '-v']),
      ]
      expect(outputs.map(({ status }) => status)).toEqual([0, 0, 5, 22, 0, 22, 0, 38, 0, 0, 0])
      expect(outputs[2]?.stderr).toContain('access denied for ***')
      expect(JSON.stringify(outputs)).not.toContain(secret)
      expect(daemon?.log() ?? '').not.toContain(secret)
      // The place itself never learns it; the state directory must keep it, and is private.
      expect(everythingWritten(location)).not.toContain(secret)
    } finally {
      await daemon?.stop()
    }
  })

  it('are in no command line while the call runs', async () => {
    const location = machine.place()
    const uuid = crypto.randomUUID()
    await machine.run('DemoSR', ['-', 'sr_create', uuid, '0'], { stdin: dconfOf({ location, password: secret }) })
    let seen = ''
    const ended = await machine.run('DemoSR', ['-', 'sr_attach', uuid], {
      stdin: dconfOf({ location, password: secret, login: 'slow' }),
      onStart: (child) => void waitUntil('the login runs', () => {
        const lines = commandLines(readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
        if (!lines.includes('sleep 30')) return false
        seen = lines
        child.kill('SIGTERM')
        return true
      }),
    })
    expect(ended.signal).toBe('SIGTERM')
    expect(seen).toContain('sr_attach')
    expect(seen).not.toContain(secret)
  })
})

describe('an interrupted call', () => {
  it('stops its tools, says so, and dies of the signal', async () => {
    const location = machine.place()
    const uuid = crypto.randomUUID()
    await machine.run('DemoSR', [dconfOf({ location }), 'sr_create', uuid, '0'])
    const marker = (): boolean => commandLines(readdirSync('/proc').filter((name) => /^\d+$/.test(name))).includes('sleep 30')
    const ended = await machine.run('DemoSR', [dconfOf({ location, login: 'slow' }), 'sr_attach', uuid], {
      onStart: (child) => void waitUntil('the login runs', marker).then(() => child.kill('SIGINT')),
    })
    expect(ended).toMatchObject({ signal: 'SIGINT', stdout: '' })
    expect(ended.stderr).toContain('Cancelled by SIGINT')
    await waitUntil('the tool is gone', () => !marker())
    expect((await machine.run('DemoSR', [dconfOf({ location }), 'sr_attach', uuid])).status).toBe(0)
  })
})

describe('twenty processes at once', () => {
  it('make twenty VDIs, and one of twenty with the same uuid', async () => {
    const dconf = dconfOf({ location: machine.place() })
    const uuid = crypto.randomUUID()
    await succeeds(demo(dconf, 'sr_create', uuid, '0'))
    await succeeds(demo(dconf, 'sr_attach', uuid))
    const uuids = Array.from({ length: 19 }, () => crypto.randomUUID())
    const ends = await Promise.all([...uuids, ...uuids.slice(0, 1)].map(async (one) => demo(dconf, 'vdi_create', uuid, one, '4096')))
    expect(ends.filter(({ status }) => status === 0)).toHaveLength(19)
    expect(ends.filter(({ status }) => status === 17)).toHaveLength(1)
    const xml = await succeeds(demo(dconf, 'sr_scan', uuid))
    expect(xml.match(/<vdi>/g)).toHaveLength(19)
  })
})

describe('with a daemon', () => {
  it('answers are the same, byte for byte', async () => {
    const dconf = dconfOf({ location: machine.place() })
    const uuid = crypto.randomUUID()
    await succeeds(demo(dconf, 'sr_create', uuid, '0'))
    await succeeds(demo(dconf, 'sr_attach', uuid))
    await succeeds(demo(dconf, 'vdi_create', uuid, vdi, '4096'))
    const calls = [
      ['sr_scan', uuid], ['sr_scan', other], ['sr_probe'], ['sr_content_type', uuid], ['vdi_attach', uuid, vdi], ['vdi_attach', uuid, other], ['vdi_delete', uuid, vdi],
      ['vdi_resize', uuid, vdi, '1'], ['vdi_lock', uuid, vdi, 'maybe', 'me'], ['vdi_create', uuid, vdi, '4096'], ['sr_attach', 'x'], ['sr_create', uuid, '0'], ['vdi_detach', uuid, vdi],
    ]
    const ask = async (): Promise<readonly Ended[]> => {
      const ends: Ended[] = []
      for (const call of calls) ends.push(await demo(dconf, ...call))
      return ends
    }
    const alone = await ask()
    const daemon = await machine.startDaemon()
    try {
      const through = await ask()
      expect(daemon.log().match(/"method":"SR.scan"/g)?.length).toBeGreaterThan(0)
      expect(through).toEqual(alone)
    } finally {
      await daemon.stop()
    }
  })
})
