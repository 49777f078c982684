/** Debian packages that the lab needs on the machine: a guest's root is the host's own, so they are in the guest, too. */
import { existsSync, readFileSync } from 'node:fs'
import { execa } from 'execa'
import { labFailure } from './failure.ts'

/** Package -> a file that proves it is there. */
const packages: Readonly<Record<string, string>> = {
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'qemu-utils': '/usr/bin/qemu-img',
  'busybox-static': '/bin/busybox',
  cpio: '/usr/bin/cpio',
  kmod: '/usr/sbin/modprobe',
  'xz-utils': '/usr/bin/xz',
  udev: '/lib/systemd/systemd-udevd',
  iproute2: '/sbin/ip',
  iptables: '/usr/sbin/iptables',
  lvm2: '/usr/sbin/lvm',
  dmsetup: '/usr/sbin/dmsetup',
  'thin-provisioning-tools': '/usr/sbin/thin_check',
  e2fsprogs: '/usr/sbin/mkfs.ext4',
  xfsprogs: '/usr/sbin/mkfs.xfs',
  'nfs-kernel-server': '/usr/sbin/rpc.nfsd',
  'nfs-common': '/usr/sbin/mount.nfs',
  rpcbind: '/usr/sbin/rpcbind',
  'open-iscsi': '/usr/sbin/iscsid',
  tgt: '/usr/sbin/tgtd',
  'multipath-tools': '/usr/sbin/multipathd',
  'nbd-client': '/usr/sbin/nbd-client',
  lsscsi: '/usr/bin/lsscsi',
  'sg3-utils': '/usr/bin/sg_inq',
}

const missingPackages = (): readonly string[] =>
  Object.entries(packages).filter(([, proof]) => ![proof, `/usr${proof}`].some((path) => existsSync(path))).map(([name]) => name)

const isDebian = (): boolean => {
  try {
    return /^ID(_LIKE)?=.*\b(debian)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

const policyFile = '/usr/sbin/policy-rc.d'

/** Installs what is missing where that is possible (root on Debian), else fails with the one command to type. */
export const ensurePackages = async (say: (line: string) => void): Promise<void> => {
  const missing = missingPackages()
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (!isDebian()) throw labFailure(`The lab boots a Debian kernel over the root of a Debian machine, and this is none. Missing: ${missing.join(', ')}`)
  if (process.getuid?.() !== 0) throw labFailure(`The lab needs packages that are not installed. As root: ${command}`)
  say(`installing ${missing.join(' ')}`)
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, stdin: 'ignore' } as const
  const wait = ['-o', 'DPkg::Lock::Timeout=600']
  // Storage daemons must not start on the host just because the guest needs their programs.
  const { writeFileSync, rmSync } = await import('node:fs')
  const hadPolicy = existsSync(policyFile)
  if (!hadPolicy) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await execa('apt-get', [...wait, 'update'], options)
    await execa('apt-get', [...wait, 'install', '-y', '--no-install-recommends', ...missing], options)
  } catch (error) {
    throw labFailure(`Could not install packages. Try it by hand: ${command}`, error)
  } finally {
    if (!hadPolicy) rmSync(policyFile)
  }
  const still = missingPackages()
  if (still.length > 0) throw labFailure(`Installed, yet not found: ${still.join(', ')}`)
}
