/** Measuring on a noisy machine: what is compared runs in turn, and only medians and their ratios count. */
import { spawnSync } from 'node:child_process'

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Milliseconds of one run. */
export const timed = async (work: () => unknown): Promise<number> => {
  const start = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - start) / 1e6
}

/** Medians of several things that run in turn, `rounds` times each, after one round that does not count. */
export const inTurn = async <K extends string>(rounds: number, things: Readonly<Record<K, () => Promise<number> | number>>): Promise<Record<K, number>> => {
  const names = Object.keys(things) as K[]
  const found = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>
  for (let round = -1; round < rounds; round += 1) {
    for (const name of names) {
      const value = await things[name]()
      if (round >= 0) found[name].push(value)
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(found[name])])) as Record<K, number>
}

/** CPU milliseconds (user and system) of one whole process, from an environment that holds nothing of ours. */
export const cpuOf = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): number => {
  // The shell tells what its children used; the command itself is a vector.
  const done = spawnSync('bash', ['--norc', '--noprofile', '-c', 'TIMEFORMAT="%3U %3S"; time "$@" >/dev/null 2>/dev/null', 'bash', ...argv], {
    encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', ...env },
  })
  const [user, system] = (done.stderr.trim().split('\n').pop() ?? '').split(' ').map(Number)
  if (user === undefined || system === undefined || Number.isNaN(user + system)) throw new Error(`${argv.join(' ')} could not be measured: ${done.stderr}`)
  return (user + system) * 1000
}

/** Resident memory of a process in MiB. */
export const memoryOf = (pid: number): number => {
  const status = spawnSync('cat', [`/proc/${pid}/status`], { encoding: 'utf8' }).stdout
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
}
