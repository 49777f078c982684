/** What is done to a SCSI disk: asked who it is, found by a stable name, flushed, taken out of the system. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { deleteDiskCommand, identityCommand, settleCommand } from './build.ts'
import type { ScsiDisk } from './disks.ts'
import type { LunIdentity } from './identity.ts'
import { parsePage83 } from './parse.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

const layer = 'host:scsi'

/** Names that the disk behind a path states of itself now. A path that leads nowhere, or to nothing that answers, throws. */
export const askIdentity = async (ctx: Needs, path: string): Promise<readonly string[]> =>
  parsePage83((await ctx.host.run(identityCommand(path), ctx.signal)).stdout)

/** Proves that the disk behind a path is the one meant, by asking it; else identityMismatch. */
export const proveIdentity = async (ctx: Needs, path: string, wanted: LunIdentity): Promise<void> => {
  const names = await askIdentity(ctx, path)
  if (names.includes(wanted.name)) return
  throw new StorageError('identityMismatch', `${path} leads to ${names.join(', ') || 'a disk without identity'}, not to ${wanted.name}`, {
    layer, details: { path, expected: wanted.name, found: names.join(', ') },
    remedy: 'The array gives another disk under this number now. Scan the SR, and see on the array what is mapped to this host',
  })
}

const linkTries = 20

/**
 * The first of several names in /dev that udev makes for a device: they appear some time after the device itself.
 * toolFailed when none does.
 */
export const waitForLink = async (ctx: Needs, links: readonly string[]): Promise<string> => {
  for (let attempt = 0; attempt < linkTries; attempt += 1) {
    for (const link of links) if ((await ctx.host.files.stat(link)) !== undefined) return link
    // The event may not have reached udev's queue yet: then settling returns at once.
    if (attempt > 1) await sleep(100, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
    await ctx.host.run(settleCommand, ctx.signal)
  }
  throw new StorageError('toolFailed', `udev makes none of these names: ${links.join(', ')}`, {
    layer: 'host:udev', remedy: 'See that udev runs and has its rules for disks: udevadm info --query=symlink /dev/<disk>',
  })
}

/** Takes a disk out of the system. Whoever has it open gets errors from then on. */
export const deleteDisk = async (ctx: Needs, disk: ScsiDisk): Promise<void> => {
  await ctx.host.run(deleteDiskCommand(disk.directory), ctx.signal)
}
