/** Warm guests for development: started once, used by many short commands, stopped by name. Each checkout has its own. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openChannel, type Channel } from './channel.ts'
import { labFailure } from './failure.ts'
import { ensureKernel } from './kernel.ts'
import { machineFiles, newFolder, portCount, prepareFiles, startMachine, tailOf, type MachineFiles, type MachineOptions } from './machine.ts'
import { settings } from './settings.ts'

interface WarmGuest {
  readonly pid: number
  /** Start time of the process: a pid alone may be somebody else's by now. */
  readonly started: string
  readonly folder: string
}

const stateFile = (name: string): string => join(settings.warm, `${name}.json`)

/** Field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks. */
const startTime = (pid: number): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19]
  } catch {
    return undefined
  }
}

const alive = (guest: WarmGuest): boolean => startTime(guest.pid) === guest.started

const readState = (name: string): WarmGuest | undefined =>
  existsSync(stateFile(name)) ? JSON.parse(readFileSync(stateFile(name), 'utf8')) as WarmGuest : undefined

const forget = (name: string, guest: WarmGuest): void => {
  rmSync(guest.folder, { recursive: true, force: true })
  rmSync(stateFile(name), { force: true })
}

const whyDead = (name: string, guest: WarmGuest, files: MachineFiles) => (): string | undefined =>
  alive(guest) ? undefined : `The warm guest ${name} has ended\n${tailOf(files.qemuLog, 5)}\n${tailOf(files.console)}`.trimEnd()

export const warmNames = (): readonly string[] =>
  existsSync(settings.warm) ? readdirSync(settings.warm).filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -5)) : []

/** Boots a guest that outlives this process. Refused when one of that name runs. */
export const up = async (options: MachineOptions, say: (line: string) => void): Promise<MachineFiles> => {
  const { name } = options
  const before = readState(name)
  if (before !== undefined && alive(before)) throw labFailure(`The guest ${name} is up already. Stop it: npm run lab -- down --name ${name}`)
  if (before !== undefined) forget(name, before)
  const kernel = await ensureKernel(say)
  const files = machineFiles(newFolder())
  await prepareFiles(files, options)
  const child = startMachine(kernel, files, options, true)
  const guest: WarmGuest = { pid: child.pid ?? 0, started: startTime(child.pid ?? 0) ?? '', folder: files.folder }
  mkdirSync(settings.warm, { recursive: true })
  writeFileSync(stateFile(name), JSON.stringify(guest))
  child.unref()
  const channel = await openChannel(files.port(0), whyDead(name, guest, files), settings.bootCeilingMs)
  channel.close('done')
  return files
}

const running = (name: string): { readonly guest: WarmGuest; readonly files: MachineFiles } => {
  const guest = readState(name)
  if (guest === undefined) throw labFailure(`There is no warm guest ${name}. Start it: npm run lab -- up --name ${name}`)
  const files = machineFiles(guest.folder)
  const dead = whyDead(name, guest, files)()
  if (dead !== undefined) throw labFailure(dead)
  if (!existsSync(guest.folder)) throw labFailure(`The folder of the warm guest ${name}, ${guest.folder}, was removed by somebody. Start anew: npm run lab -- down --name ${name}; npm run lab -- up --name ${name}`)
  return { guest, files }
}

const { tryLock } = createRequire(import.meta.url)('fs-native-extensions') as { readonly tryLock: (fd: number, options: { readonly exclusive: boolean }) => boolean }

/** QEMU serves one client a port: a kernel lock says which ports are taken, and dies with its holder. */
const claimPort = async (files: MachineFiles): Promise<{ readonly path: string; release(): void }> => {
  for (;;) {
    for (let index = 0; index < portCount; index++) {
      const fd = openSync(`${files.port(index)}.lock`, 'a')
      if (tryLock(fd, { exclusive: true })) return { path: files.port(index), release: () => closeSync(fd) }
      closeSync(fd)
    }
    await sleep(100)
  }
}

/** Runs `use` with a connection of its own to the warm guest; up to four at a time, the fifth waits. */
export const withWarm = async <T>(name: string, use: (channel: Channel, files: MachineFiles) => Promise<T>): Promise<T> => {
  const { guest, files } = running(name)
  const port = await claimPort(files)
  try {
    const channel = await openChannel(port.path, whyDead(name, guest, files), settings.bootCeilingMs)
    try {
      return await use(channel, files)
    } finally {
      channel.close('done')
    }
  } finally {
    port.release()
  }
}

const gone = async (guest: WarmGuest, ms: number): Promise<boolean> => {
  for (const deadline = performance.now() + ms; performance.now() < deadline; await sleep(50)) if (!alive(guest)) return true
  return !alive(guest)
}

/** Syncs and ends the guest; its disks go with it. A guest that does not answer is ended all the same. */
export const down = async (name: string): Promise<void> => {
  const guest = readState(name)
  if (guest === undefined) return
  if (alive(guest)) {
    await Promise.race([withWarm(name, (channel) => channel.exec(['sync'], { timeoutMs: 30_000 })), sleep(40_000)]).catch(() => undefined)
    if (alive(guest)) process.kill(guest.pid, 'SIGTERM')
    if (!(await gone(guest, 30_000))) process.kill(guest.pid, 'SIGKILL')
    await gone(guest, 30_000)
  }
  forget(name, guest)
}
