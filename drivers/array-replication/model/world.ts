/** Making a pair of model arrays, being their hosts, and breaking the link between them. */
import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../../../core/errors.ts'
import { GiB } from '../../../core/units.ts'
import { contentFile } from './data.ts'
import { known, layer, tick, withFirmware, writeState, type Firmware } from './state.ts'
import { peerUnit, runCycle } from './units.ts'

export interface ModelPair {
  readonly a: string
  readonly b: string
  readonly link: string
}

/** Two empty arrays that replicate to each other, in `root`/a, `root`/b and `root`/link. What is there already stays. */
export const createModelPair = (root: string, options: { readonly capacity?: number } = {}): ModelPair => {
  const pair = { a: join(root, 'a'), b: join(root, 'b'), link: join(root, 'link') }
  for (const directory of [pair.a, pair.b, pair.link]) mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [own, peer] of [['a', 'b'], ['b', 'a']] as const) {
    if (existsSync(join(pair[own], 'array.json'))) continue
    writeState(pair[own], {
      id: `model-${own}`, name: `model ${own}`, peer: { id: `model-${peer}`, name: `model ${peer}`, directory: pair[peer] }, link: pair.link,
      clock: 0, next: 0, slowSync: 0, capacity: options.capacity ?? GiB, volumes: {}, groups: {}, snapshots: {}, units: {}, jobs: {}, metadata: {},
      ports: [{ id: '0', kind: 'iscsi', name: `iqn.2026-01.org.example:model-${own}`, address: own === 'a' ? '192.0.2.10' : '198.51.100.10', port: 3260, online: true }],
    })
  }
  return pair
}

export const cutLink = (pair: ModelPair): void => writeFileSync(join(pair.link, 'cut'), '')
export const restoreLink = (pair: ModelPair): void => rmSync(join(pair.link, 'cut'), { force: true })

const unitOf = ({ own }: Firmware, volume: string) => Object.values(own.units).find(({ members }) => members.some((member) => member.volume === volume))

/**
 * A write of a host of the access group, acknowledged when it returns. Refused (permissionDenied, readOnly) when the volume is not presented
 * to the group or its side may not be written. Synchronous units have it on both arrays then; without the link they go on alone, interrupted.
 */
export const hostWrite = (directory: string, volume: string, group: string, offset: number, bytes: Uint8Array): void => withFirmware(directory, (firmware) => {
  const { own } = firmware
  const facts = known(own.volumes, volume, 'volume')
  if (!facts.online || !facts.presentations.some((one) => one.group === group)) throw new StorageError('permissionDenied', `${volume} is not presented to ${group}`, { layer, remedy: 'Present it' })
  const unit = unitOf(firmware, volume)
  if (unit !== undefined && unit.role !== 'source' && unit.role !== 'promoted') throw new StorageError('readOnly', `${volume} is ${unit.role}`, { layer, remedy: 'Write to the other side' })
  const put = (path: string): void => {
    const file = openSync(path, 'r+')
    writeSync(file, bytes, 0, bytes.length, offset)
    closeSync(file)
  }
  put(contentFile(directory, own, volume))
  if (unit?.mode !== 'synchronous' || unit.role !== 'source' || unit.transfer !== 'running') return
  const other = peerUnit(firmware.peer, unit.key)
  const key = unit.members.find((member) => member.volume === volume)?.key
  const twin = other?.members.find((member) => member.key === key)
  if (firmware.peer === undefined || other?.role !== 'target' || other.transfer !== 'running' || twin === undefined) {
    unit.transfer = 'interrupted'
    return
  }
  put(contentFile(own.peer.directory, firmware.peer, twin.volume))
  other.lastConsistentMs = tick(firmware.peer)
  unit.lastConsistentMs = tick(own)
})

/** What a host would read; also of a target, which no host can reach: for looking at what replication delivered. */
export const readContent = (directory: string, volume: string, offset: number, length: number): Uint8Array => withFirmware(directory, ({ own }) => {
  known(own.volumes, volume, 'volume')
  const file = openSync(contentFile(directory, own, volume), 'r')
  const bytes = new Uint8Array(length)
  const read = readSync(file, bytes, 0, length, offset)
  closeSync(file)
  return bytes.subarray(0, read)
}, 'read')

/** Whether a host could write to any member of the unit here, now. */
export const isWritable = (directory: string, unit: string): boolean => withFirmware(directory, ({ own }) => {
  const facts = known(own.units, unit, 'unit')
  return (facts.role === 'source' || facts.role === 'promoted') && facts.members.some(({ volume }) => known(own.volumes, volume, 'volume').presentations.length > 0)
}, 'read')

/** One asynchronous cycle, as the array runs them by itself. */
export const cycle = (directory: string, unit: string): void => withFirmware(directory, (firmware) => runCycle(firmware, known(firmware.own.units, unit, 'unit')))
