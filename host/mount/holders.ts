/** Which processes keep a mount busy: read from /proc, where links are told without touching what they point to. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isBelow } from './mountinfo.ts'

export interface Holder {
  readonly pid: number
  /** The command line, shortened. */
  readonly command: string
}

/** A process may end while it is looked at, and not every one shows its links to everybody. */
const orElse = <T>(read: () => T, otherwise: T): T => {
  try {
    return read()
  } catch {
    return otherwise
  }
}

const linksOf = (pid: string): readonly string[] => {
  const list = (name: string): readonly string[] => orElse(() => readdirSync(`/proc/${pid}/${name}`).map((entry) => `${name}/${entry}`), [])
  return ['cwd', 'root', 'exe', ...list('fd'), ...list('map_files')].flatMap((name) => orElse(() => [readlinkSync(`/proc/${pid}/${name}`)], []))
}

/** Loop devices, swap files and exports keep a mount busy too, and are no process: an empty answer proves nothing. */
export const holdersOf = (mountPoint: string): readonly Holder[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && linksOf(name).some((link) => isBelow(link, mountPoint)))
    .map((pid) => ({ pid: Number(pid), command: orElse(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 120), '') }))
