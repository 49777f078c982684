/**
 * What a VDI lock is on a LUN: the key of a persistent reservation, the only eight bytes that an array keeps for us. They hold a
 * mark, the epoch and a digest of the owner; neither the owner's text nor a time fits. Never change the layout: another host may
 * hold a lock made by an older version.
 *
 *   bits 63-56  0x53, ours
 *   bits 55-36  epoch
 *   bits 35-0   first 36 bits of SHA-256 of the owner
 */
import { createHash } from 'node:crypto'

const mark = 0x53n
const epochBits = 20
const ownerBits = 36n
export const maxEpoch = 2 ** epochBits - 1

const digestOf = (owner: string): bigint => BigInt(`0x${createHash('sha256').update(owner).digest('hex').slice(0, 9)}`)

export const lockKey = (owner: string, epoch: number): bigint => (mark << 56n) | (BigInt(epoch) << ownerBits) | digestOf(owner)

export const isLockKey = (key: bigint): boolean => key >> 56n === mark

export const epochOfKey = (key: bigint): number => (isLockKey(key) ? Number((key >> ownerBits) & BigInt(maxEpoch)) : 0)

/** How a lock is called whose owner's text this host does not know. Given back as the owner, it means exactly that lock. */
export const nameOfKey = (key: bigint): string => `reservation 0x${key.toString(16).padStart(16, '0')}`

export const isOwner = (key: bigint, owner: string): boolean =>
  owner === nameOfKey(key) || (isLockKey(key) && (key & ((1n << ownerBits) - 1n)) === digestOf(owner))
