/**
 * Whether a mounted ext4 still works. After an I/O error its journal stops and every write is refused, yet the mount table goes on
 * saying rw, with errors=remount-ro as well as without: only the file system's own counter tells.
 */
import type { Files } from '../../core/ports.ts'
import type { Mount } from '../mount/mountinfo.ts'

/** How often the kernel met an error in it since it was last checked; undefined when the kernel does not say. */
export const errorsMet = async (files: Files, mount: Pick<Mount, 'device'>): Promise<number | undefined> => {
  const uevent = await files.readText(`/sys/dev/block/${mount.device}/uevent`, 4096)
  const name = /^DEVNAME=([^/\n]+)$/m.exec(uevent ?? '')?.[1]
  if (name === undefined) return undefined
  const count = Number(await files.readText(`/sys/fs/ext4/${name}/errors_count`, 64))
  return Number.isSafeInteger(count) ? count : undefined
}
