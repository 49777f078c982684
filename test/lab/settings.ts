/** Where the lab keeps things, and what the environment may change. One object, read once. */
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'

export const checkout = resolve(import.meta.dirname, '../..')

const env = (name: string, otherwise: string): string => {
  const value = process.env[name]
  return value === undefined || value === '' ? otherwise : value
}

export const settings = {
  /** Kernel and initramfs, kept between runs; one folder a kernel version. Can be shared by several checkouts. */
  cache: resolve(checkout, env('LAB_CACHE', '.cache/lab')),
  /** Which warm guests exist: a small file each. */
  warm: join(checkout, 'var', 'lab'),
  /** What is kept of a suite that failed: console, kernel log, the share. */
  failures: join(checkout, 'var', 'lab-logs'),
  /** `tcg` emulates and works everywhere; `kvm` is for machines that have the real one. */
  accel: env('LAB_ACCEL', 'tcg'),
  cores: availableParallelism(),
  /** Ceiling of every wait for a guest, in milliseconds: a busy machine is several times slower than an idle one. */
  bootCeilingMs: 300_000,
} as const
