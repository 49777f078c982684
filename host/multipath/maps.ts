/** The multipath daemon of this host: whether it runs, what its maps look like, and taking maps away before their paths go. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { mapOn, type MapDevice, type ScsiDisk } from '../scsi/disks.ts'
import { addPathCommand, flushMapCommand, resizeMapCommand, showDaemonCommand, showMapsCommand } from './build.ts'
import { parseMaps, type MultipathMap } from './parse.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

const layer = 'host:multipathd'

/** Sample of the answer: `pid 2638 idle`. A host without the package has no daemon. */
export const multipathRuns = async (ctx: Needs): Promise<boolean> => {
  try {
    const { exitCode, stdout } = await ctx.host.run(showDaemonCommand, ctx.signal)
    return exitCode === 0 && /^pid \d/.test(stdout)
  } catch (error) {
    if (error instanceof StorageError && error.kind === 'toolMissing') return false
    throw error
  }
}

/** undefined when the daemon does not answer. */
export const readMaps = async (ctx: Needs): Promise<readonly MultipathMap[] | undefined> => {
  const { exitCode, stdout } = await ctx.host.run(showMapsCommand, ctx.signal)
  return exitCode === 0 ? parseMaps(stdout) : undefined
}

const mapTries = 50

/** The map on a disk. The daemon makes it some time after the disk; when it does not, it is asked to, and then given up with toolFailed. */
export const waitForMap = async (ctx: Needs, disk: ScsiDisk, reread: () => Promise<ScsiDisk | undefined>): Promise<MapDevice> => {
  let at: ScsiDisk | undefined = disk
  for (let attempt = 0; attempt < mapTries && at !== undefined; attempt += 1) {
    const map = await mapOn(ctx.host.files, at)
    if (map !== undefined) return map
    if (attempt === 2) await ctx.host.run(addPathCommand(disk.name), ctx.signal)
    await sleep(100, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
    at = await reread()
  }
  throw new StorageError('toolFailed', `multipathd makes no map of ${disk.identity?.scsiId ?? disk.name}`, {
    layer, remedy: `See what it says (multipath -v3 ${disk.node}): the disk may be on its blacklist; or set multipath=no in the device_config`,
  })
}

export const resizeMap = async (ctx: Needs, map: string): Promise<void> => {
  await ctx.host.run(resizeMapCommand(map), ctx.signal)
}

/** Takes a map away. One that is gone is done; one that somebody has open is busy. */
export const removeMap = async (ctx: Needs, map: MapDevice): Promise<void> => {
  const { exitCode, stdout, stderr } = await ctx.host.run(flushMapCommand(map.map), ctx.signal)
  if (exitCode === 0 || (await ctx.host.files.stat(`/sys/block/${map.name}/dm`)) === undefined) return
  throw new StorageError('busy', `The multipath map ${map.map} cannot be taken away: ${(stderr || stdout).trim().slice(-200)}`, {
    layer, remedy: `See who has it open (dmsetup info ${map.map}), and let go of it`,
  })
}
