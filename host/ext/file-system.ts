/** What is done to an ext4 file system as a whole: made, checked, grown, given another uuid, wiped. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { MiB } from '../../core/units.ts'
import { identifyDevice } from '../blkid/inspect.ts'
import type { BlockDevice } from '../blkid/parse.ts'
import { discardCommand, flushCommand, fsckBits, fsckCommand, growCommand, mkfsCommand, seedCommand, setUuidCommand, superblockCommand } from './build.ts'
import { fileSystemSize } from './intent.ts'
import { parseSuperblock, type Superblock } from './parse.ts'

type Needs = Pick<Ctx, 'host' | 'signal' | 'log'>

const layer = 'host:ext'

/** Smaller than this, journal and metadata leave no room. */
export const smallestDevice = 32 * MiB

/** mkfs, and the proof that the device kept it. The caller has proven that nothing of value is there. */
export const makeFileSystem = async (ctx: Needs, device: BlockDevice, uuid: string): Promise<void> => {
  await ctx.host.run(mkfsCommand(device.node, uuid, fileSystemSize(device)), ctx.signal).catch((error: unknown) => {
    if (!(error instanceof StorageError) || error.kind !== 'toolFailed') throw error
    throw new StorageError('toolFailed', `${device.path} could not be formatted: ${error.message}`, {
      ...error.facts, cause: error, remedy: `Look at the kernel log and at the health of ${device.path}; when it is well, repeat the call`,
    })
  })
  await ctx.host.run(flushCommand(device.node), ctx.signal)
  const found = await identifyDevice(ctx, device.node)
  if (found.type === 'ext4' && found.uuid === uuid) return
  throw new StorageError('ioError', `${device.path} was formatted, but reads as ${found.type ?? 'nothing known'}: it does not keep what is written to it`, {
    layer, mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device',
  })
}

/** e2fsck -p. Damage that it does not mend without asking is an ioError; `busy` when the device is in use. */
export const checkFileSystem = async (ctx: Needs, device: BlockDevice, how: { readonly force: boolean } = { force: false }): Promise<void> => {
  const { exitCode, stdout, stderr } = await ctx.host.run(fsckCommand(device.node, how), ctx.signal)
  const said = `${stdout.trim()} ${stderr.trim()}`.trim()
  if ((exitCode & ~(fsckBits.corrected | fsckBits.rebootNeeded)) === 0) {
    if (exitCode !== 0) ctx.log.warn({ device: device.path, said }, 'e2fsck has mended the file system')
    return
  }
  if ((exitCode & fsckBits.uncorrected) !== 0) {
    throw new StorageError('ioError', `The file system on ${device.path} is damaged beyond what can be mended without asking: ${said.slice(-500)}`, {
      layer, remedy: `Take a copy of the device if its disks matter, then: e2fsck -f ${device.path}`, details: { exit_code: exitCode },
    })
  }
  if (said.includes('is in use')) throw new StorageError('busy', `${device.path} is in use: ${said.slice(-300)}`, { layer, remedy: `See what uses it: lsblk ${device.path}` })
  throw new StorageError('toolFailed', `e2fsck could not check ${device.path} (status ${exitCode}): ${said.slice(-500)}`, {
    layer: 'host:e2fsck', mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device', details: { exit_code: exitCode },
  })
}

export const readSuperblock = async (ctx: Needs, device: BlockDevice): Promise<Superblock> =>
  parseSuperblock((await ctx.host.run(superblockCommand(device.node), ctx.signal)).stdout)

/** Less is not worth a resize. */
const worthGrowing = 4 * MiB

/** Lets a mounted file system use what its device has gained. That it cannot keeps nobody from using what is there. */
export const growIfLarger = async (ctx: Needs, device: BlockDevice, { size }: Pick<Superblock, 'size'>): Promise<void> => {
  const possible = fileSystemSize(device)
  if (possible - size < worthGrowing) return
  try {
    await ctx.host.run(growCommand(device.node, possible), ctx.signal)
    ctx.log.info({ device: device.path, from: size, to: possible }, 'the file system was enlarged to its device')
  } catch (error) {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ device: device.path, err: error }, `the file system could not be enlarged to its device; by hand: resize2fs ${device.path}`)
  }
}

/**
 * Gives an unmounted file system another uuid. Steps: 1. checked, journal replayed; 2. checksums freed from the uuid; 3. the uuid.
 * Each of 2 and 3 writes superblocks only, the first one last: a crash leaves the old uuid or the new one, and a repeat is fine.
 */
export const changeUuid = async (ctx: Needs, device: BlockDevice, uuid: string): Promise<void> => {
  await checkFileSystem(ctx, device, { force: true })
  const { features } = await readSuperblock(ctx, device)
  if (features.includes('metadata_csum') && !features.includes('metadata_csum_seed')) await ctx.host.run(seedCommand(device.node), ctx.signal)
  await ctx.host.run(setUuidCommand(device.node, uuid), ctx.signal)
  await ctx.host.run(flushCommand(device.node), ctx.signal)
  const found = await identifyDevice(ctx, device.node)
  if (found.uuid !== uuid) throw new StorageError('ioError', `${device.path} does not keep the uuid it was given: it reads as ${found.uuid ?? 'none'}`, { layer, mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device' })
}

/** Bytes to be wiped from the head of a device (SM API, sr_delete, [EXT]: at least 100 MB). */
const wipedLength = 128 * MiB
const pieceLength = 4 * MiB

/** Zeros from `from` on; the part that identifies the file system goes first, so that no half-wiped one is ever mounted. */
export const wipeHead = async (ctx: Needs, device: BlockDevice, length = wipedLength): Promise<void> => {
  const end = Math.min(length, fileSystemSize(device))
  const zeros = Buffer.alloc(pieceLength)
  const file = await ctx.host.files.open(device.node, 'write')
  try {
    for (let at = 0; at < end; at += pieceLength) {
      ctx.signal.throwIfAborted()
      await file.write(at, zeros.subarray(0, Math.min(pieceLength, end - at)))
      if (at === 0) await file.sync()
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await ctx.host.run(flushCommand(device.node), ctx.signal)
  const check = await ctx.host.files.open(device.node, 'read')
  try {
    for (let at = 0; at < end; at += pieceLength) {
      const bytes = await check.read(at, Math.min(pieceLength, end - at))
      if (!zeros.subarray(0, Math.min(pieceLength, end - at)).equals(bytes)) {
        throw new StorageError('ioError', `${device.path} does not keep what is written to it: it was wiped, and still holds data at byte ${at}`, { layer, mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device' })
      }
    }
  } finally {
    await check.close()
  }
}

/** Tells thin storage that what lies behind the wiped head is not needed either. Best effort: the wiped head is what counts. */
export const discardRest = async (ctx: Needs, device: BlockDevice, from = wipedLength): Promise<void> => {
  const length = fileSystemSize(device) - from
  if (length <= 0) return
  await ctx.host.run(discardCommand(device.node, from, length), ctx.signal).catch((error: unknown) => {
    ctx.signal.throwIfAborted()
    ctx.log.debug({ device: device.path, err: error }, 'the device was not discarded')
  })
}
