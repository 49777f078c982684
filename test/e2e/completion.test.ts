/** Completion of smctl, typed in the shells themselves: a terminal, a word begun, the tab key, and what stands on the line then. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMachine, type Machine } from './machine.ts'

const root = join(import.meta.dirname, '../..')
let machine: Machine
let sr = ''
let vdi = ''

const succeeds = async (...args: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await machine.run('smctl', args)
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
  return stdout
}

beforeAll(async () => {
  machine = await createMachine()
  sr = (await succeeds('sr', 'create', 'file', `location=${machine.place()}`, '-q')).trim()
  await succeeds('sr', 'attach', sr)
  vdi = (await succeeds('vdi', 'create', sr, '1M', '-q')).trim()
})
afterAll(async () => machine.remove())

const isThere = (tool: string): boolean => ['/bin', '/usr/bin', '/usr/local/bin'].some((path) => existsSync(join(path, tool)))
const environment = (): NodeJS.ProcessEnv => ({ PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: machine.directory, TERM: 'dumb', STORAGE_MANAGER_STATE: machine.stateDirectory })

/** Shells that read from a terminal what script(1) types there. `smctl` only tells how it would have been run. */
const typed: Readonly<Record<string, { readonly argv: string; readonly setUp: string }>> = {
  bash: { argv: 'bash --norc --noprofile -i', setUp: '' },
  zsh: { argv: 'zsh -f -i', setUp: 'autoload -Uz compinit; compinit -u -D' },
}

const readBack = (shell: string, lines: readonly string[]): readonly string[] => {
  const { argv, setUp } = typed[shell] ?? { argv: shell, setUp: '' }
  const input = [
    setUp,
    'smctl() { case $1 in (__complete|completion) command smctl "$@";; (*) printf "would""Run<%s>\\n" "$*";; esac; }',
    `eval "$(smctl completion ${shell})"`,
    ...lines,
    'exit', '',
  ].join('\n')
  const { stdout, error } = spawnSync('script', ['-qec', argv, '/dev/null'], { input, encoding: 'utf8', env: environment(), timeout: 120_000 })
  if (error !== undefined) throw error
  return [...stdout.matchAll(/wouldRun<([^>]*)>/g)].map(([, words = '']) => words)
}

describe.each(Object.keys(typed))('%s', (shell) => {
  it.skipIf(!isThere(shell))('completes nouns, verbs, options, choices, types, dconf keys and the SRs and VDIs that are there', () => {
    const lines: readonly (readonly [typed: string, wanted: string])[] = [
      ['rep\t', 'replication'],
      ['vdi snaps\t', 'vdi snapshot'],
      ['vdi create --prov\t sp\t x 1G', 'vdi create --provisioning sparse x 1G'],
      ['sr create dem\t pass\tx', 'sr create demo password=x'],
      [`sr scan ${sr.slice(0, 6)}\t`, `sr scan ${sr}`],
      [`vdi delete ${sr} \t`, `vdi delete ${sr} ${vdi}`],
      ['driver ne\t mystore', 'driver new mystore'],
      // What smctl does not know is a file name, perhaps.
      [`sr list --socket ${machine.directory}/sta\tconf\t`, `sr list --socket ${machine.directory}/state/config.json`],
    ]
    expect(readBack(shell, lines.map(([line]) => `smctl ${line}`)).map((line) => line.trim())).toEqual(lines.map(([, wanted]) => wanted))
  })
})

describe('fish', () => {
  const offered = (line: string): readonly string[] => {
    const { status, stdout, stderr } = spawnSync('fish', ['--no-config', '-c', 'smctl completion fish | source; complete -C $argv[1]', line], { encoding: 'utf8', cwd: machine.directory, env: environment(), timeout: 120_000 })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    return stdout.trim().split('\n').map((found) => found.split('\t')[0] ?? '').sort()
  }

  it.skipIf(!isThere('fish'))('completes the same, and offers file names only where nothing else fits', () => {
    mkdirSync(join(machine.directory, 'rescue'), { recursive: true })
    writeFileSync(join(machine.directory, 'sparse.txt'), '')
    expect(offered('smctl vdi re')).toEqual(['rename', 'resize', 'revert'])
    expect(offered('smctl vdi create --provisioning ')).toEqual(['full', 'sparse'])
    expect(offered('smctl sr create demo ')).toEqual(['location=', 'login=', 'password='])
    expect(offered(`smctl sr scan ${sr.slice(0, 6)}`)).toEqual([sr])
    expect(offered(`smctl vdi delete ${sr} `)).toEqual([vdi])
    expect(offered('smctl sr list --socket spar')).toEqual(['sparse.txt'])
  })
})

describe('what is offered', () => {
  const words = async (...line: readonly string[]): Promise<readonly string[]> =>
    (await succeeds('__complete', ...line)).split('\n').filter((found) => found !== '').map((found) => found.split('\t')[0] ?? '')

  it('is nouns, verbs, options, choices, types and dconf keys', async () => {
    expect(await words('')).toEqual(expect.arrayContaining(['sr', 'vdi', 'task', 'driver', 'host', 'doctor', 'watch']))
    expect(await words('vdi', 're')).toEqual(['resize', 'revert', 'rename'])
    expect(await words('vdi', 'create', '--n')).toEqual(['--name'])
    expect(await words('vdi', 'create', '--provisioning', '')).toEqual(['sparse', 'full'])
    expect(await words('sr', 'create', 'd')).toEqual(['demo'])
    expect(await words('sr', 'create', 'demo', '')).toEqual(['location=', 'password=', 'login='])
    expect(await words('sr', 'create', 'demo', 'location', '=', '/s')).toEqual([])
    expect(await words('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(await words('no-such-thing', '')).toEqual([])
  })

  it('is refused for a shell that it does not know', async () => {
    expect(await machine.run('smctl', ['completion', 'csh'])).toMatchObject({ status: 22, stdout: '', stderr: expect.stringContaining('bash, zsh, fish') as unknown })
  })
})
