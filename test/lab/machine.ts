/** One QEMU: its command line, its files in one folder, its monitor. Knows nothing of what runs inside. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, realpathSync, symlinkSync, truncateSync, writeFileSync, copyFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { labFailure } from './failure.ts'
import type { Kernel } from './kernel.ts'
import { checkout, settings } from './settings.ts'

export interface MachineOptions {
  /** Host name in the guest, and what messages call it. */
  readonly name: string
  readonly cpus: number
  readonly memoryMiB: number
  /** Bytes of each scratch disk: vda, vdb ... and /dev/disk/by-id/virtio-labdisk0, 1 ... */
  readonly disks: readonly number[]
  /** A point-to-point net to one other machine: frames come in at `local` and go out to `remote`. */
  readonly net?: { readonly local: string; readonly remote: string; readonly address: string; readonly mac: string }
}

/** Agent ports: one for each client at a time. */
export const portCount = 4

/** Everything of one machine lies in one folder; its name must be short, a UNIX socket's is limited to 107 bytes. */
export const machineFiles = (folder: string) => ({
  folder,
  share: join(folder, 'share'),
  console: join(folder, 'console.log'),
  qemuLog: join(folder, 'qemu.log'),
  monitor: join(folder, 'mon.sock'),
  port: (index: number) => join(folder, `p${index}.sock`),
  disk: (index: number) => join(folder, `disk${index}.raw`),
})
/** A new folder of a machine, private to the user. Below the system's folder for temporary files, because of that limit. */
export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'storage-lab-'))
export type MachineFiles = ReturnType<typeof machineFiles>

const inside = join(import.meta.dirname, 'inside')

/** Tools that suites start hundreds of times. */
const hotTools = [
  'bash', 'blkdiscard', 'blkid', 'blockdev', 'cp', 'dd', 'dmsetup', 'dumpe2fs', 'e2fsck', 'exportfs', 'find', 'iscsiadm', 'losetup', 'lsblk', 'lvm', 'mkfs.ext4',
  'mount', 'mount.nfs', 'multipath', 'realpath', 'resize2fs', 'rm', 'rpc.nfsd', 'sh', 'showmount', 'sleep', 'tee', 'thin_check', 'tune2fs', 'udevadm', 'umount', 'wipefs',
]

/**
 * What a start of those tools opens: the guest moves it into memory. Through 9p each open is several trips to QEMU, a millisecond
 * and more, and lvm opens thirty files (one lvs took 0.2 s, and takes 0.1).
 */
const hotFiles = (): readonly string[] => {
  const folders = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/sbin')
  const tools = hotTools.flatMap((name) => folders.map((folder) => join(folder, name)).find(existsSync) ?? [])
  const libraries = spawnSync('ldd', tools, { encoding: 'utf8' }).stdout.match(/(?<=\s)\/\S+(?= \()/g) ?? []
  return [...new Set([...tools, ...libraries, '/etc/ld.so.cache', '/etc/lvm/lvm.conf', '/etc/lvm/lvmlocal.conf', '/etc/mke2fs.conf'].filter(existsSync).map((path) => realpathSync(path)))]
}

/** The share, with the agent in it, and the disks. `node_modules` is for bundles in the share that need native parts. */
export const prepareFiles = async (files: MachineFiles, options: MachineOptions): Promise<void> => {
  mkdirSync(join(files.share, '.inside'), { recursive: true })
  copyFileSync(join(inside, 'init.sh'), join(files.share, '.inside', 'init.sh'))
  await build({ entryPoints: [join(inside, 'agent.ts')], outfile: join(files.share, '.inside', 'agent.mjs'), bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' })
  writeFileSync(join(files.share, '.inside', 'hot'), `${hotFiles().join('\n')}\n`)
  symlinkSync(join(checkout, 'node_modules'), join(files.share, 'node_modules'))
  options.disks.forEach((size, index) => {
    writeFileSync(files.disk(index), '')
    truncateSync(files.disk(index), size)
  })
}

const virtfs = (path: string, tag: string, extra = ''): readonly string[] =>
  ['-virtfs', `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${extra}`]

/** A comma separates options of QEMU; doubled it is a comma. */
const escapeComma = (text: string): string => text.replaceAll(',', ',,')

/**
 * `unsafe`: a flush returns at once. What a disk was sent is in the host's memory and outlives QEMU, which is all that a power cut here ends;
 * waiting for the host's own disk would make a guest as slow as that is busy.
 */
export const diskArguments = (files: MachineFiles, index: number) => ({
  drive: `if=none,id=d${index},file=${escapeComma(files.disk(index))},format=raw,cache=unsafe,discard=unmap`,
  device: `virtio-blk-pci,id=v${index},drive=d${index},serial=labdisk${index}`,
})

/**
 * What a machine that lives for minutes can do without. `norandmaps` matters most: an emulator keeps translated code by its address, so
 * a program that starts at another address each time is translated anew each time (one lvs took 0.5 s, and takes 0.2).
 * Grace periods of the kernel (RCU) are what a change of a device-mapper table waits for.
 */
const cheap: readonly string[] = ['norandmaps', 'nokaslr', 'mitigations=off', 'init_on_alloc=0', 'hardened_usercopy=off', 'apparmor=0', 'audit=0', 'nowatchdog', 'rcupdate.rcu_expedited=1']

const argvOf = (kernel: Kernel, files: MachineFiles, options: MachineOptions): readonly string[] => [
  ...(settings.accel === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'Nehalem']),
  '-name', options.name, '-smp', String(options.cpus), '-m', String(options.memoryMiB),
  '-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config', '-no-reboot',
  '-kernel', kernel.image, '-initrd', kernel.initramfs,
  '-append', [
    'console=ttyS0', 'quiet', 'panic=-1', 'oops=panic', 'net.ifnames=0', 'tsc=reliable', 'no_timer_check', ...cheap,
    `lab.name=${options.name}`, `lab.node=${process.execPath}`, `lab.checkout=${checkout}`,
    ...(options.net === undefined ? [] : [`lab.address=${options.net.address}`]),
  ].join(' '),
  '-serial', `file:${files.console}`,
  '-monitor', `unix:${files.monitor},server=on,wait=off`,
  '-device', 'virtio-rng-pci',
  ...virtfs('/', 'hostroot', ',readonly=on'),
  ...virtfs(escapeComma(kernel.modules), 'mods', ',readonly=on'),
  ...virtfs(escapeComma(files.share), 'lab'),
  ...virtfs(escapeComma(checkout), 'checkout', ',readonly=on'),
  '-device', 'virtio-serial-pci,max_ports=8',
  ...Array.from({ length: portCount }, (_, index) => ['-chardev', `socket,id=c${index},path=${files.port(index)},server=on,wait=off`, '-device', `virtserialport,chardev=c${index},name=lab.${index}`]).flat(),
  ...options.disks.flatMap((_, index) => {
    const { drive, device } = diskArguments(files, index)
    return ['-drive', drive, '-device', device]
  }),
  ...(options.net === undefined ? [] : [
    '-netdev', `dgram,id=n0,local.type=unix,local.path=${options.net.local},remote.type=unix,remote.path=${options.net.remote}`,
    '-device', `virtio-net-pci,netdev=n0,mac=${options.net.mac}`,
  ]),
]

/**
 * Starts QEMU. `outlive`: it goes on when this process ends; else the kernel kills it with us, however we end.
 */
export const startMachine = (kernel: Kernel, files: MachineFiles, options: MachineOptions, outlive: boolean): ChildProcess => {
  if (/[\s"]/.test(checkout + process.execPath)) throw labFailure('The lab cannot work in a folder whose path holds blanks or quotes')
  const log = openSync(files.qemuLog, 'a')
  const qemu = ['qemu-system-x86_64', ...argvOf(kernel, files, options)]
  const [tool = '', ...args] = outlive ? qemu : ['setpriv', '--pdeathsig', 'KILL', ...qemu]
  const child = spawn(tool, args, { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  child.on('error', () => undefined)
  return child
}

/** The last lines of a text file, for messages; empty when it is not there. */
export const tailOf = (path: string, lines = 15): string =>
  existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\r', '').trimEnd().split('\n').slice(-lines).join('\n') : ''

const prompt = '(qemu) '

/** One command of QEMU's human monitor and its answer, for example `set_link n0 off` or `device_del v1`. */
export const monitorCommand = (files: MachineFiles, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(files.monitor)
    let text = ''
    let sent = false
    const timer = setTimeout(() => {
      socket.destroy()
      reject(labFailure(`QEMU's monitor did not answer to "${command}" within 60 s`))
    }, 60_000)
    socket.on('error', (error) => {
      clearTimeout(timer)
      reject(labFailure(`QEMU's monitor cannot be reached: ${error.message}`))
    })
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      if (!text.endsWith(prompt)) return
      if (!sent) {
        sent = true
        text = ''
        socket.write(`${command}\n`)
        return
      }
      clearTimeout(timer)
      socket.destroy()
      // The monitor echoes what is typed, with terminal control sequences; the answer is what follows the first line.
      resolve(text.slice(0, -prompt.length).split('\n').slice(1).join('\n').replaceAll('\r', '').trim())
    })
  })
