/**
 * The guest's kernel: the Debian package, downloaded and unpacked (never installed), the ELF kernel taken out of it, and
 * an initramfs of busybox, the modules needed to reach the root, and initramfs.sh. Cached by version.
 */
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { labFailure } from './failure.ts'
import { settings } from './settings.ts'

export interface Kernel {
  readonly version: string
  readonly image: string
  readonly initramfs: string
  /** What the guest mounts on /lib/modules. */
  readonly modules: string
}

/** What the initramfs must load to reach the root, the share and the agent's port. */
const earlyModules = ['virtio_pci', 'virtio_blk', 'virtio_console', 'virtio_net', 'virtio_rng', '9pnet_virtio', '9p', 'overlay'] as const
const initScript = join(import.meta.dirname, 'inside', 'initramfs.sh')

/** Compressed kernels by the magic of their payload; a kernel under another one is booted as it is, only slower. */
const decompressors = [
  { magic: 'fd377a585a00', argv: ['xz', '-dc'] },
  { magic: '28b52ffd', argv: ['zstd', '-dc'] },
] as const

/** The payload of a bzImage (Documentation/x86/boot of the kernel: setup_sects, payload_offset, payload_length). */
export const bzImagePayload = (image: Buffer): Buffer => {
  const start = (image.readUInt8(0x1f1) + 1) * 512 + image.readUInt32LE(0x248)
  // The last four bytes are the uncompressed size, which is no part of the stream.
  return image.subarray(start, start + image.readUInt32LE(0x24c) - 4)
}

const extractElf = async (bzImage: string, to: string): Promise<void> => {
  const payload = bzImagePayload(readFileSync(bzImage))
  const how = decompressors.find(({ magic }) => payload.toString('hex', 0, magic.length / 2) === magic)
  if (how === undefined) {
    copyFileSync(bzImage, to)
    return
  }
  const [tool, ...args] = how.argv
  const { stdout } = await execa(tool, args, { input: payload, encoding: 'buffer', maxBuffer: 2 ** 30 })
  writeFileSync(to, stdout)
}

/** Files of `modprobe --show-depends` output, in loading order, each once. Sample line: `insmod /x/virtio.ko `. */
export const loadOrder = (outputs: readonly string[]): readonly string[] =>
  [...new Set(outputs.flatMap((text) => [...text.matchAll(/^insmod (\S+)/gm)].map((match) => match[1] ?? '')))]

const makeInitramfs = async (folder: string, version: string, to: string): Promise<void> => {
  const root = mkdtempSync(join(folder, 'initramfs-'))
  try {
    mkdirSync(join(root, 'bin'))
    mkdirSync(join(root, 'modules'))
    for (const name of ['proc', 'sys', 'dev']) mkdirSync(join(root, name))
    const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path))
    if (busybox === undefined) throw labFailure('busybox is missing: apt-get install busybox-static')
    copyFileSync(busybox, join(root, 'bin', 'busybox'))
    for (const applet of ['sh', 'mount', 'mkdir', 'cat', 'echo', 'insmod', 'switch_root', 'sleep']) symlinkSync('busybox', join(root, 'bin', applet))
    const outputs = await Promise.all(earlyModules.map(async (name) =>
      (await execa('/usr/sbin/modprobe', ['-d', folder, '-S', version, '--show-depends', name])).stdout))
    const files = loadOrder(outputs)
    for (const file of files) copyFileSync(file, join(root, 'modules', basename(file)))
    writeFileSync(join(root, 'modules.order'), files.map((file) => `${basename(file)}\n`).join(''))
    copyFileSync(initScript, join(root, 'init'))
    chmodSync(join(root, 'init'), 0o755)
    const list = readdirSync(root, { recursive: true, encoding: 'utf8' }).join('\n')
    const { stdout } = await execa('cpio', ['-o', '-H', 'newc', '-R', '0:0', '--quiet'], { cwd: root, input: list, encoding: 'buffer', maxBuffer: 2 ** 28 })
    writeFileSync(`${to}.${process.pid}`, stdout)
    renameSync(`${to}.${process.pid}`, to)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** The newest version in the cache; only complete folders carry a version as name. */
const cachedVersion = (): string | undefined =>
  existsSync(settings.cache)
    ? readdirSync(settings.cache).filter((name) => existsSync(join(settings.cache, name, 'vmlinux'))).toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
    : undefined

const download = async (say: (line: string) => void): Promise<string> => {
  const { stdout } = await execa('apt-cache', ['depends', 'linux-image-amd64'])
  const name = /Depends: (linux-image-[0-9]\S*)/.exec(stdout)?.[1]
  if (name === undefined) throw labFailure('apt knows no linux-image-amd64. As root: apt-get update; then again')
  say(`downloading ${name}`)
  const work = mkdtempSync(join(settings.cache, 'unpack-'))
  try {
    await execa('apt-get', ['download', name], { cwd: work })
    const deb = readdirSync(work).find((file) => file.endsWith('.deb'))
    if (deb === undefined) throw labFailure(`apt-get download ${name} left no package`)
    const tree = join(work, 'tree')
    await execa('dpkg-deb', ['-x', join(work, deb), tree])
    // Newer packages keep modules below /usr; modprobe -d looks below /lib.
    if (!existsSync(join(tree, 'lib')) && existsSync(join(tree, 'usr', 'lib'))) symlinkSync('usr/lib', join(tree, 'lib'))
    const version = readdirSync(join(tree, 'lib', 'modules'))[0]
    if (version === undefined) throw labFailure(`${name} holds no modules`)
    await execa('/usr/sbin/depmod', ['-b', tree, version])
    await extractElf(join(tree, 'boot', `vmlinuz-${version}`), join(tree, 'vmlinux'))
    try {
      renameSync(tree, join(settings.cache, version))
    } catch (error) {
      // Another process was quicker; its folder is as good.
      if (!existsSync(join(settings.cache, version, 'vmlinux'))) throw error
    }
    return version
  } catch (error) {
    throw labFailure(`Could not fetch the kernel package ${name}. A stale package list is the usual reason; as root: apt-get update`, error)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Answers from the cache where it can; `fresh` asks apt for the newest version. */
export const ensureKernel = async (say: (line: string) => void, fresh = false): Promise<Kernel> => {
  mkdirSync(settings.cache, { recursive: true })
  const version = (fresh ? undefined : cachedVersion()) ?? await download(say)
  const folder = join(settings.cache, version)
  const recipe = createHash('sha256').update(readFileSync(initScript)).update(earlyModules.join()).digest('hex').slice(0, 12)
  const initramfs = join(folder, `initramfs-${recipe}.cpio`)
  if (!existsSync(initramfs)) await makeInitramfs(folder, version, initramfs)
  return { version, image: join(folder, 'vmlinux'), initramfs, modules: join(folder, 'lib', 'modules') }
}
