/** smctl as an administrator types it. */
import { spawnSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMachine, type Ended, type Machine, type RunOptions } from './machine.ts'

let machine: Machine
beforeAll(async () => {
  machine = await createMachine()
})
afterAll(async () => machine.remove())

const smctl = async (args: readonly string[], options?: RunOptions): Promise<Ended> => machine.run('smctl', args, options)

const succeeds = async (args: readonly string[], options?: RunOptions): Promise<string> => {
  const { status, stdout, stderr } = await smctl(args, options)
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
  return stdout
}

const json = async (args: readonly string[]): Promise<unknown> => JSON.parse(await succeeds([...args, '--json'])) as unknown

describe('a day with smctl', () => {
  it('goes from an empty directory to a disk with a snapshot and back', async () => {
    const location = machine.place()
    expect(await succeeds(['sr', 'probe', 'file', `location=${location}`])).toMatch(/FOUND +COMPLETE +SR +WHERE +WHAT\nblank +yes/)
    const sr = (await succeeds(['sr', 'create', 'file', `location=${location}`, '--name', 'First disks', '-q'])).trim()
    expect(await succeeds(['sr', 'attach', sr])).toBe('attached\n')
    expect(await succeeds(['sr', 'attach', sr])).toBe('attached already\n')
    const vdi = (await succeeds(['vdi', 'create', sr, '10G', '--name', 'root disk', '--quiet'])).trim()
    expect(await json(['vdi', 'stat', sr, vdi])).toMatchObject({ uuid: vdi, size: 10 * 2 ** 30, name: 'root disk', kind: 'disk' })
    expect(await succeeds(['vdi', 'stat', sr, vdi])).toMatch(/^size +10 GiB \(10737418240\)$/m)
    const path = (await succeeds(['vdi', 'attach', sr, vdi, '-q'])).trim()
    expect(statSync(path).isFile()).toBe(true)
    expect(await smctl(['vdi', 'resize', sr, vdi, '20G'])).toMatchObject({ status: 16, stdout: '' })
    expect(await succeeds(['vdi', 'detach', sr, vdi])).toBe('done\n')
    expect(await succeeds(['vdi', 'detach', sr, vdi])).toBe('nothing to do\n')
    const snapshot = (await succeeds(['vdi', 'snapshot', sr, vdi, '--name', 'before', '-q'])).trim()
    expect((await succeeds(['sr', 'scan', sr, '-q'])).trim().split('\n').sort()).toEqual([snapshot, vdi].sort())
    expect(await succeeds(['sr', 'scan', sr])).toMatch(/before +snapshot +10 GiB/)
    for (const one of [vdi, snapshot]) await succeeds(['vdi', 'delete', sr, one])
    await succeeds(['sr', 'detach', sr])
    await succeeds(['sr', 'delete', sr])
    expect(await json(['sr', 'list'])).toEqual({ srs: [] })
  })

  it('knows the drivers from outside as well as its own', async () => {
    expect(await succeeds(['driver', 'list', '-q'])).toMatch(/^file\n(.+\n)*demo\n/m)
  })
})

describe('answers and errors', () => {
  const unknown = '87b8646b-b800-9500-cb7b-af3b74e02f5c'

  it('are JSON on request, the error with its report on standard error', async () => {
    const { status, stdout, stderr } = await smctl(['sr', 'stat', unknown, '--json'])
    expect({ status, stdout }).toEqual({ status: 19, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ kind: 'srNotAttached', errno: 'ENODEV', field: 'sr_uuid', layer: 'engine' })
  })

  it.each([
    ['a misspelt verb', ['sr', 'lst'], 22, 'Did you mean list?'],
    ['a misspelt noun', ['vdo', 'list'], 22, 'Did you mean vdi?'],
    ['a misspelt option', ['sr', 'list', '--jsn'], 22, 'Did you mean --json?'],
    ['a misspelt dconf key', ['sr', 'create', 'file', 'loction=/x'], 22, 'did you mean location?'],
    ['an unknown type', ['sr', 'create', 'fil', 'location=/x'], 22, 'The known types are: '],
    ['a missing argument', ['vdi', 'create', unknown], 22, 'smctl help vdi create'],
    ['a size that is none', ['vdi', 'create', unknown, 'ten'], 22, '10G'],
    ['a size of zero', ['vdi', 'create', unknown, '0'], 22, 'size: must be greater than zero'],
    ['a negative size', ['vdi', 'create', unknown, '--', '-4096'], 22, '10G'],
    ['a fraction of a byte', ['vdi', 'create', unknown, '1.5'], 22, '10G'],
    ['a size beyond all integers', ['vdi', 'create', unknown, '99999999P'], 22, '10G'],
    ['an SR that is a path', ['sr', 'scan', '../../etc/passwd'], 22, 'sr_uuid: must be a uuid'],
    ['a VDI that is a path', ['vdi', 'delete', unknown, '../x'], 22, 'vdi_uuid: must be a uuid'],
    ['a line break in a uuid', ['vdi', 'delete', unknown, `${unknown}\n`], 22, 'vdi_uuid: must be a uuid'],
    ['a key that objects have', ['sr', 'create', 'file', 'location=/x', '__proto__=/x'], 22, '"__proto__" is not of the form key=value'],
    ['a choice that is none', ['vdi', 'create', unknown, '1G', '--provisioning', 'fat'], 22, 'sparse, full'],
    ['a time limit that is none', ['sr', 'list', '--timeout', 'soon'], 22, '--timeout 30'],
    ['JSON that is none', ['task', 'start', 'SR.list', '--params', '{'], 22, '--params'],
    ['a parameter given twice', ['sr', 'create', 'file', 'location=/x', 'location=/y'], 22, 'once'],
    ['a socket nobody listens on', ['sr', 'list', '--socket', '/nonexistent/smd.sock'], 5, 'Start it'],
  ])('help with %s', async (_, args, status, hint) => {
    const ended = await smctl(args)
    expect({ status: ended.status }).toEqual({ status })
    expect(ended.stderr).toContain(hint)
    expect(ended.stdout).toBe('')
  })

  it('show help without doing anything', async () => {
    expect(await succeeds(['--help'])).toContain('Usage: smctl')
    expect(await succeeds(['help', 'vdi', 'snapshot'])).toContain('smctl vdi snapshot [options] <sr-uuid> <vdi-uuid>')
    expect((await smctl([])).status).toBe(22)
    expect((await smctl(['sr'])).stderr).toContain('Usage: smctl sr')
  })

  it('hold no escape sequences when no terminal reads them', async () => {
    for (const args of [['driver', 'list'], ['doctor'], ['sr', 'list']]) expect((await smctl(args)).stdout).not.toContain('\u001b')
  })

  it('end quietly when the reader goes away', () => {
    const { status, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" bin/smctl driver list --json | head -c 10 >/dev/null`], { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8', env: { PATH: process.env['PATH'], STORAGE_MANAGER_STATE: machine.stateDirectory } })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

describe('secrets', () => {
  it('come from files and standard input, and are warned about on the command line', async () => {
    const location = machine.place()
    const file = join(machine.directory, 'password')
    writeFileSync(file, 'hunter22-do-not-tell\n', { mode: 0o600 })
    const refused = ['sr', 'create', 'demo', `location=${location}`, 'login=refused']
    for (const [word, stdin] of [[`password=@${file}`, undefined], ['password=-', 'hunter22-do-not-tell\n']] as const) {
      const ended = await smctl([...refused, word], stdin === undefined ? {} : { stdin })
      expect(ended.status).toBe(5)
      expect(ended.stderr).toContain('access denied for ***')
      expect(ended.stderr).not.toContain('warning')
    }
    const open = await smctl([...refused, 'password=hunter22-do-not-tell'])
    expect(open.stderr).toContain('warning: password can be seen by every user')
    expect(open.stderr).not.toContain('hunter22')
    expect((await smctl([...refused, 'password=@/nonexistent'])).status).toBe(22)
  })
})

describe('doctor', () => {
  it('says what a driver lacks, and minds only those that are in use', async () => {
    const before = await smctl(['doctor'])
    expect(before.stdout).toMatch(/note +SR type demo +no-such-tool is missing; needed for nothing at all +apt-get install no-such-package/)
    expect(before.status).toBe(0)
    const sr = (await succeeds(['sr', 'create', 'demo', `location=${machine.place()}`, '-q'])).trim()
    const after = await smctl(['doctor', '--json'])
    expect(after.status).toBe(1)
    expect(JSON.parse(after.stdout)).toMatchObject({ problems: 1, checks: expect.arrayContaining([{ what: 'SR type demo', state: 'problem', says: 'no-such-tool is missing; needed for nothing at all', remedy: 'apt-get install no-such-package' }]) as unknown })
    await succeeds(['sr', 'forget', sr])
  })

  it('names on a bare host every package that any driver needs, and what for', async () => {
    const { status, stdout } = await smctl(['doctor', '--json'], { env: { PATH: '/nowhere' } })
    const { drivers } = (await json(['driver', 'list'])) as { readonly drivers: readonly { readonly type: string; readonly tools: readonly { readonly name: string; readonly debian_package: string; readonly needed_for: string }[] }[] }
    const { checks } = JSON.parse(stdout) as { readonly checks: readonly { readonly what: string; readonly state: string; readonly says: string; readonly remedy?: string }[] }
    const wanted = drivers.flatMap(({ type, tools }) => tools.map((tool) => ({ what: `SR type ${type}`, state: 'note', says: `${tool.name} is missing; needed for ${tool.needed_for}`, remedy: `apt-get install ${tool.debian_package}` })))
    expect(wanted.length).toBeGreaterThan(40)
    expect(checks).toEqual(expect.arrayContaining(wanted))
    expect(status).toBe(0)
  })

  it('notices a state directory that is open to others', async () => {
    spawnSync('chmod', ['755', machine.stateDirectory])
    const { status, stdout } = await smctl(['doctor'])
    spawnSync('chmod', ['700', machine.stateDirectory])
    expect(status).toBe(1)
    expect(stdout).toContain(`chmod 700 ${machine.stateDirectory}`)
  })
})

describe('time limits and signals', () => {
  it('cancel the call and say what that means', async () => {
    const slow = ['sr', 'create', 'demo', `location=${machine.place()}`, 'login=slow']
    const late = await smctl([...slow, '--timeout', '0.5'])
    expect(late).toMatchObject({ status: 5, signal: null })
    expect(late.stderr).toMatch(/Not done within 0.5 s; something may have been changed/)
    const stopped = await smctl(slow, { onStart: (child) => void setTimeout(() => child.kill('SIGTERM'), 2000) })
    expect(stopped.signal).toBe('SIGTERM')
  })
})

describe('with a daemon', () => {
  it('answers are the same', async () => {
    const sr = (await succeeds(['sr', 'create', 'file', `location=${machine.place()}`, '-q'])).trim()
    await succeeds(['sr', 'attach', sr])
    const vdi = (await succeeds(['vdi', 'create', sr, '1M', '-q'])).trim()
    const calls = [['sr', 'scan', sr], ['sr', 'scan', sr, '--json'], ['vdi', 'stat', sr, vdi], ['sr', 'list'], ['driver', 'list', '--json'], ['vdi', 'stat', sr, sr], ['sr', 'attach', sr, '--type', 'file', 'location=/elsewhere'], ['vdi', 'attach', sr, vdi], ['vdi', 'detach', sr, vdi]]
    const ask = async (): Promise<readonly Ended[]> => {
      const ends: Ended[] = []
      for (const call of calls) ends.push(await smctl(call))
      // What is free on a file system changes under us.
      return ends.map((end) => ({ ...end, stdout: end.stdout.replace(/"free": \d+|\d+ GiB of/, 'free') }))
    }
    const alone = await ask()
    const daemon = await machine.startDaemon()
    try {
      expect(await ask()).toEqual(alone)
      expect((await smctl(['-v', 'host', 'status'])).stderr).toContain('daemon on ')
      expect((await smctl(['-v', 'host', 'status', '--in-process'])).stderr).toContain('in this process')
    } finally {
      await daemon.stop()
    }
  })

  it('watch shows changes as they happen, until Ctrl-C, and says so when the daemon goes', async () => {
    const daemon = await machine.startDaemon()
    const location = machine.place()
    let output = ''
    const watching = smctl(['watch'], {
      onStart: (child) => {
        child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
        void (async () => {
          // Subscribed when a first change is seen: until then changes are made.
          for (let tries = 0; !output.includes('SR.') && tries < 100; tries += 1) {
            const sr = (await succeeds(['sr', 'create', 'file', `location=${location}/${tries}`, '-q'])).trim()
            await succeeds(['sr', 'forget', sr])
          }
          child.kill('SIGINT')
        })()
      },
    })
    expect((await watching).signal).toBe('SIGINT')
    expect(output).toMatch(/^\S+Z {2}SR\.(create|forget) {2}[0-9a-f-]{36}$/m)
    const lost = smctl(['watch'], { onStart: () => void setTimeout(() => void daemon.stop(), 1500) })
    expect((await lost).status).toBe(5)
    expect((await smctl(['watch'])).status).toBe(5)
  })
})

it('keeps the state directory private', async () => {
  await succeeds(['sr', 'list'])
  for (const path of ['', 'srs', 'locks', 'run']) expect(statSync(join(machine.stateDirectory, path)).mode & 0o077).toBe(0)
})

describe('sra validate', () => {
  const response = (state: string): string => `<Response xmlns="http://www.vmware.com/srm/sra/v2"><ReplicatedDevices><SourceDevices><SourceDevice id="a" state="${state}"><TargetDevice key="k"/></SourceDevice></SourceDevices></ReplicatedDevices></Response>`

  it('explains what is wrong with a document, and answers by its exit status', async () => {
    const file = join(machine.place(), 'response.xml')
    writeFileSync(file, response('read-write'))
    expect(await succeeds(['sra', 'validate', file])).toBe('response of discoverDevices: valid\n')
    writeFileSync(file, response('rw'))
    const { status, stdout } = await smctl(['sra', 'validate', file])
    expect(status).toBe(22)
    expect(stdout).toMatch(/1 wrong\nwrong line 1: .*SourceDevice\[id="a"\]\n +found: state="rw"\n +wanted: state as read-write, read-only\n +asked for by: chapter discoverDevices\n$/)
    expect(JSON.parse((await smctl(['sra', 'validate', file, '--json'])).stdout)).toMatchObject({ document: 'response', command: 'discoverDevices', findings: [{ weight: 'wrong', found: 'state="rw"' }] })
  })
})
