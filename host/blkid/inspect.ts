/**
 * What is on a block device, by several tools that must agree. Blank is a proof, never the absence of an answer: whoever formats
 * a device has asked here.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize, MiB } from '../../core/units.ts'
import { blkidCommand, findByUuidCommand, lsblkCommand, lsblkTreeCommand, signaturesCommand } from './build.ts'
import { parseBlkid, parseLsblk, parseSignatures, type BlkidFacts, type BlockDevice } from './parse.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

/** How much of head and tail must read as zeros. The tail is where RAID superblocks and second partition tables lie. */
const proofLength = MiB

export type DeviceContents =
  /** No signature, nothing built on it or mounted, and head and tail are zeros. */
  | { readonly found: 'blank'; readonly says: string }
  /** `by`: what is mounted or built on it, a signature, or bytes of no known format. */
  | { readonly found: 'occupied'; readonly by: 'use' | 'signature' | 'bytes'; readonly says: string; readonly facts: BlkidFacts }
  /** It could not be read, or the tools disagree: nothing may be concluded. */
  | { readonly found: 'unknown'; readonly says: string }

export interface Inspection {
  readonly device: BlockDevice
  readonly contents: DeviceContents
  /** What was asked, and what was answered. */
  readonly tried: readonly { readonly step: string; readonly said: string }[]
}

/** The device behind a path (a node, or a link such as those in /dev/disk); undefined when there is none. */
export const lookUpDevice = async (ctx: Needs, path: string): Promise<BlockDevice | undefined> =>
  parseLsblk((await ctx.host.run(lsblkCommand(path), ctx.signal)).stdout)[0]

/** Kinds of devices that can hold data of ours. */
const kinds = new Set(['disk', 'part', 'lvm', 'mpath', 'crypt', 'loop'])

/** Every device of this host that nothing is built on, told once each. */
export const listDevices = async (ctx: Needs): Promise<readonly BlockDevice[]> => {
  const all = parseLsblk((await ctx.host.run(lsblkCommand(), ctx.signal)).stdout).flatMap((device) => [device, ...descendants(device)])
  const leaves = all.filter((device) => device.children.length === 0 && device.size > 0 && (kinds.has(device.type) || device.type.startsWith('raid')))
  return leaves.filter((device, index) => leaves.findIndex((other) => other.device === device.device) === index)
}

/** Every device of this host, once each however many stand below it, with what udev believes to be on it. */
export const surveyDevices = async (ctx: Needs): Promise<readonly BlockDevice[]> => {
  const all = parseLsblk((await ctx.host.run(lsblkTreeCommand(), ctx.signal)).stdout).flatMap((device) => [device, ...descendants(device)])
  return all.filter((device, index) => all.findIndex((other) => other.device === device.device) === index)
}

/** As `lookUpDevice`; a missing device is placeMissing. */
export const needDevice = async (ctx: Needs, path: string, field: string): Promise<BlockDevice> => {
  const device = await lookUpDevice(ctx, path)
  if (device !== undefined) return device
  throw new StorageError('placeMissing', `There is no block device ${path} on this host`, {
    layer: 'host:blkid', field, remedy: 'lsblk lists the block devices of this host; names such as /dev/disk/by-id/... stay the same between boots',
  })
}

/** What the device itself says it is; reads it afresh. */
export const identifyDevice = async (ctx: Needs, path: string): Promise<BlkidFacts> =>
  parseBlkid((await ctx.host.run(blkidCommand(path), ctx.signal)).stdout)

/** All devices, told once each, whose file system carries `uuid`: the parts of a multipath or RAID device count as that device. */
export const devicesWithUuid = async (ctx: Needs, uuid: string): Promise<readonly BlockDevice[]> => {
  const { stdout } = await ctx.host.run(findByUuidCommand(uuid), ctx.signal)
  const found: BlockDevice[] = []
  for (const path of stdout.split('\n').filter((line) => line !== '')) {
    const device = await lookUpDevice(ctx, path)
    if (device !== undefined && !found.some((known) => known.device === device.device)) found.push(device)
  }
  return found.filter((device) => !descendants(device).some((child) => found.some((other) => other.device === child.device)))
}

const descendants = (device: BlockDevice): readonly BlockDevice[] => device.children.flatMap((child) => [child, ...descendants(child)])

/** What keeps a device in use, in words; undefined when nothing does. */
export const usersOf = (device: BlockDevice): string | undefined => {
  if (device.mountPoints.length > 0) return `${device.path} is mounted on ${device.mountPoints.join(', ')}`
  const [first] = device.children
  if (first === undefined) return undefined
  return `${device.children.length === 1 ? 'One thing is' : `${device.children.length} things are`} built on ${device.path}, the first is ${first.path} (${first.type})`
}

const occupied = (device: BlockDevice, facts: BlkidFacts, signatures: readonly string[]): DeviceContents | undefined => {
  const names = [...new Set([...(facts.type === undefined ? [] : [facts.type]), ...(facts.partitionTable === undefined ? [] : [`${facts.partitionTable} partition table`]), ...signatures])]
  if (names.length === 0) return undefined
  const more = [...(facts.uuid === undefined ? [] : [`uuid ${facts.uuid}`]), ...(facts.label === undefined ? [] : [`label ${JSON.stringify(facts.label)}`])]
  return { found: 'occupied', by: 'signature', says: `${device.path} holds: ${names.join(', ')}${more.length === 0 ? '' : ` (${more.join(', ')})`}`, facts }
}

const zeros = Buffer.alloc(64 * 1024)

/** Compared in blocks: a look at each byte of two MiB takes longer than reading them. */
const isZero = (bytes: Uint8Array): boolean => {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const block = bytes.subarray(at, at + zeros.length)
    if (zeros.compare(block, 0, block.length, 0, block.length) !== 0) return false
  }
  return true
}

/** Whether the two ends are there, and hold nothing at all. */
const readEnds = async (ctx: Needs, device: BlockDevice): Promise<'zeros' | 'data' | 'short'> => {
  const file = await ctx.host.files.open(device.node, 'read')
  try {
    const length = Math.min(proofLength, device.size)
    const head = await file.read(0, length)
    const tail = await file.read(device.size - length, length)
    if (head.length < length || tail.length < length) return 'short'
    return isZero(head) && isZero(tail) ? 'zeros' : 'data'
  } finally {
    await file.close()
  }
}

/**
 * Looks at a device from all sides. A device that is not there throws placeMissing, a tool that is not there toolMissing; one that
 * fails makes the device unknown. That the ends can be read is no formality: on a device that answers every read with an error,
 * blkid and wipefs both report "no signature" and success.
 */
export const inspectDevice = async (ctx: Needs, path: string, field: string): Promise<Inspection> => {
  const device = await needDevice(ctx, path, field)
  const tried: { step: string; said: string }[] = []
  const answer = (contents: DeviceContents): Inspection => ({ device, contents, tried })
  const unknown = (says: string): Inspection => answer({ found: 'unknown', says })
  /** Asks one witness; undefined when it could not say. */
  const ask = async <T>(step: string, question: () => Promise<T>, show: (value: T) => string): Promise<{ readonly value: T } | undefined> => {
    try {
      const value = await question()
      tried.push({ step, said: show(value) })
      return { value }
    } catch (error) {
      // The caller gave up; that says nothing about the device.
      ctx.signal.throwIfAborted()
      if (error instanceof StorageError && error.kind === 'toolMissing') throw error
      tried.push({ step, said: `failed: ${(error as Error).message}` })
      return undefined
    }
  }

  tried.push({ step: `lsblk ${path}`, said: `${device.type} ${device.device}, ${formatSize(device.size)}${device.readOnly ? ', read-only' : ''}` })
  const users = usersOf(device)
  if (users !== undefined) return answer({ found: 'occupied', by: 'use', says: users, facts: await identifyDevice(ctx, device.node) })
  if (device.size === 0) return unknown(`${device.path} has no size: it is dead, or it has no medium`)
  const facts = await ask(`blkid ${device.node}`, async () => identifyDevice(ctx, device.node), (value) => Object.entries(value).map(([key, text]) => `${key} ${text}`).join(', ') || 'no signature')
  const signatures = await ask(`wipefs ${device.node}`, async () => parseSignatures((await ctx.host.run(signaturesCommand(device.node), ctx.signal)).stdout), (value) => value.join(', ') || 'no signature')
  const holds = occupied(device, facts?.value ?? {}, signatures?.value ?? [])
  if (holds !== undefined) return answer(holds)
  if (facts === undefined || signatures === undefined) return unknown(`${device.path} cannot be examined: ${tried.at(-1)?.said ?? ''}`)
  const ends = await ask(`read both ends of ${device.node}`, async () => readEnds(ctx, device), (value) => value)
  if (ends === undefined || ends.value === 'short') return unknown(`${device.path} cannot be read: ${tried.at(-1)?.said ?? ''}`)
  if (ends.value === 'data') return answer({ found: 'occupied', by: 'bytes', says: `${device.path} holds data of no known format`, facts: {} })
  return answer({ found: 'blank', says: `${device.path} is blank (${formatSize(device.size)})` })
}
