/** A guest as functions: boot it, run things in it, cut its power, boot it again with the same disks, stop it. */
import { once } from 'node:events'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openChannel, type Channel, type ExecOptions, type ExecResult } from './channel.ts'
import { isLabFailure, labFailure } from './failure.ts'
import { ensureKernel } from './kernel.ts'
import { diskArguments, machineFiles, monitorCommand, newFolder, prepareFiles, startMachine, tailOf, type MachineFiles, type MachineOptions } from './machine.ts'
import { settings } from './settings.ts'

export interface Guest {
  readonly name: string
  /** The folder that the guest sees as /lab, read and write. It survives power cuts. */
  readonly share: string
  readonly files: MachineFiles
  exec(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<ExecResult>
  /** As `exec`, and anything but status 0 throws with both streams; answers stdout. */
  ok(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<string>
  /** Pulls the plug: nothing is written any more; disks and share stay as they are. */
  powerCut(): Promise<void>
  /** Boots again with the same disks and share; a guest that still runs is stopped first. */
  reboot(): Promise<void>
  /** A command of QEMU's human monitor. */
  monitor(command: string): Promise<string>
  /** Pulls a disk, and puts it back: the number is that of its serial, labdisk0, 1 ... */
  unplug(disk: number): Promise<void>
  plug(disk: number): Promise<void>
  /** The point-to-point net's carrier; a link that is down is a black hole. */
  link(state: 'up' | 'down'): Promise<void>
  consoleLog(lines?: number): string
  /** Syncs and ends the guest. Its folder is removed unless `keep`. */
  stop(options?: { readonly keep?: boolean }): Promise<void>
}

export interface BootOptions extends Partial<MachineOptions> {
  readonly say?: (line: string) => void
}

export const defaults = { cpus: Math.min(2, settings.cores), memoryMiB: 2048 } as const

/** What a guest that did not come up left, moved to where it is kept. */
const keepFailure = (files: MachineFiles, name: string, error: unknown): unknown => {
  const folder = join(settings.failures, `boot-${name}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of [files.console, files.qemuLog]) cpSync(file, join(folder, basename(file)), { force: true })
  live.delete(files.folder)
  rmSync(files.folder, { recursive: true, force: true })
  return isLabFailure(error) ? labFailure(`${error.message}\nIts logs are in ${folder}`, error.cause) : error
}

/** Whoever ends us must not leave a guest behind: folders go at exit, QEMU dies with us (pdeathsig). */
const live = new Map<string, () => void>()
process.on('exit', () => {
  for (const end of live.values()) end()
})
const onSignal = (signal: NodeJS.Signals, status: number): void => {
  process.on(signal, () => process.exit(status))
}
let signalsHeld = false
const holdSignals = (): void => {
  if (signalsHeld) return
  signalsHeld = true
  onSignal('SIGINT', 130)
  onSignal('SIGTERM', 143)
  onSignal('SIGHUP', 129)
}

interface Power {
  readonly channel: Channel
  /** SIGTERM ends QEMU cleanly, SIGKILL is the power cut. Returns when the process is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const powerOn = async (files: MachineFiles, options: MachineOptions, say: (line: string) => void): Promise<Power> => {
  const kernel = await ensureKernel(say)
  const child = startMachine(kernel, files, options, false)
  let gone: string | undefined
  child.on('exit', (code, signal) => {
    gone = `The guest ${options.name} ended (${signal ?? `status ${code}`})\n${tailOf(files.qemuLog, 5)}\n${tailOf(files.console)}`.trimEnd()
  })
  child.on('error', (error) => {
    gone = `QEMU cannot be started: ${error.message}`
  })
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  live.set(files.folder, () => {
    kill()
    rmSync(files.folder, { recursive: true, force: true })
  })
  const channel = await openChannel(files.port(0), () => gone, settings.bootCeilingMs).catch((error: unknown) => {
    kill()
    throw error
  })
  return {
    channel,
    async end(signal) {
      channel.close(`The guest ${options.name} was ${signal === 'SIGKILL' ? 'cut from power' : 'stopped'}`)
      if (gone !== undefined) return
      const ended = once(child, 'exit')
      child.kill(signal)
      const timer = setTimeout(kill, 60_000)
      await ended
      clearTimeout(timer)
    },
  }
}

export const boot = async (options: BootOptions = {}): Promise<Guest> => {
  const { say = () => undefined, name = 'lab-a', cpus = defaults.cpus, memoryMiB = defaults.memoryMiB, disks = [], net } = options
  const machine: MachineOptions = { name, cpus, memoryMiB, disks, ...(net === undefined ? {} : { net }) }
  holdSignals()
  const files = machineFiles(newFolder())
  live.set(files.folder, () => rmSync(files.folder, { recursive: true, force: true }))
  await prepareFiles(files, machine)
  let power: Power | undefined
  try {
    power = await powerOn(files, machine, say)
  } catch (error) {
    throw keepFailure(files, name, error)
  }

  const exec: Guest['exec'] = (argv, execOptions) =>
    power === undefined ? Promise.reject(labFailure(`The guest ${name} is off`)) : power.channel.exec(argv, execOptions)
  const shutDown = async (): Promise<void> => {
    if (power === undefined) return
    // A guest that hangs cannot sync either; it is ended all the same.
    await exec(['sync'], { timeoutMs: 60_000 }).catch(() => undefined)
    await power.end('SIGTERM')
    power = undefined
  }

  return {
    name, files, share: files.share, exec,
    async ok(argv, execOptions) {
      const { code, stdout, stderr } = await exec(argv, execOptions)
      if (code !== 0) throw new Error(`${argv.join(' ')} failed with status ${code} in ${name}\n${stderr}${stdout}`)
      return stdout
    },
    async powerCut() {
      await power?.end('SIGKILL')
      power = undefined
    },
    async reboot() {
      await shutDown()
      power = await powerOn(files, machine, say)
    },
    monitor: (command) => monitorCommand(files, command),
    async unplug(disk) {
      await monitorCommand(files, `device_del v${disk}`)
      // The guest has a say in it; only when it has let go is the drive free to be plugged in again.
      for (const deadline = performance.now() + 120_000; (await monitorCommand(files, 'info block')).includes(`d${disk} `); await sleep(100)) {
        if (performance.now() > deadline) throw labFailure(`The guest ${name} does not let go of disk ${disk}`)
      }
    },
    async plug(disk) {
      const { drive, device } = diskArguments(files, disk)
      const answer = await monitorCommand(files, `drive_add 0 ${drive}`) + await monitorCommand(files, `device_add ${device}`)
      if (!/^OK\s*$/.test(answer)) throw labFailure(`Disk ${disk} cannot be plugged in: ${answer}`)
    },
    async link(state) {
      await monitorCommand(files, `set_link n0 ${state === 'up' ? 'on' : 'off'}`)
    },
    consoleLog: (lines) => tailOf(files.console, lines),
    async stop({ keep = false } = {}) {
      await shutDown()
      live.delete(files.folder)
      if (!keep) rmSync(files.folder, { recursive: true, force: true })
    },
  }
}

/** Two guests, lab-a (10.77.0.1) and lab-b (10.77.0.2), on a net of their own. One vCPU each: more than cores is slower. */
export const bootPair = async (options: BootOptions = {}): Promise<{ readonly guests: readonly [Guest, Guest]; stop(keep?: boolean): Promise<void> }> => {
  const wires = newFolder()
  holdSignals()
  live.set(wires, () => rmSync(wires, { recursive: true, force: true }))
  const one = (name: string, number: number, other: string): Promise<Guest> => boot({
    cpus: 1, ...options, name,
    net: { local: join(wires, name), remote: join(wires, other), address: `10.77.0.${number}/24`, mac: `52:54:00:77:00:0${number}` },
  })
  const booting = [one('lab-a', 1, 'lab-b'), one('lab-b', 2, 'lab-a')] as const
  const [a, b] = await Promise.all(booting).catch(async (error: unknown) => {
    for (const result of await Promise.allSettled(booting)) if (result.status === 'fulfilled') await result.value.stop()
    throw error
  })
  return {
    guests: [a, b],
    async stop(keep = false) {
      await Promise.all([a.stop({ keep }), b.stop({ keep })])
      live.delete(wires)
      rmSync(wires, { recursive: true, force: true })
    },
  }
}
