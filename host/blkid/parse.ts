/** Reads what lsblk, blkid and wipefs say (util-linux 2.38; Debian 12). */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'

export interface BlockDevice {
  /** The node itself: `/dev/dm-0`, where `path` may be the link `/dev/mapper/name`. */
  readonly node: string
  readonly path: string
  /** `major:minor`. */
  readonly device: string
  /** `disk`, `part`, `loop`, `lvm`, `mpath`, `crypt`, `rom` ... */
  readonly type: string
  /** Bytes; 0 of a device that is dead or has no medium. */
  readonly size: number
  readonly readOnly: boolean
  /** `[SWAP]` of swap. */
  readonly mountPoints: readonly string[]
  /** What udev believes to be on it, of a tree only; may be late. */
  readonly believed?: { readonly type: string; readonly uuid?: string }
  /** Model and serial number, of a tree only. */
  readonly label?: string
  /** What is built on it: partitions, volumes, arrays. */
  readonly children: readonly BlockDevice[]
}

const unexpected = (tool: string, text: string, cause?: unknown): StorageError =>
  new StorageError('toolFailed', `${tool} answered something else than expected: ${JSON.stringify(text.slice(0, 200))}`, {
    layer: `host:${tool}`, cause, remedy: 'Report this with the version of util-linux on this host',
  })

const Row = z.object({
  'kname': z.string(),
  'path': z.string(),
  'maj:min': z.string().trim(),
  'type': z.string(),
  'size': z.coerce.number(),
  'ro': z.union([z.boolean(), z.enum(['0', '1']).transform((text) => text === '1')]),
  'mountpoints': z.array(z.string().nullable()),
  'fstype': z.string().nullish(),
  'uuid': z.string().nullish(),
  'model': z.string().nullish(),
  'serial': z.string().nullish(),
  'children': z.array(z.unknown()).optional(),
})
const Report = z.object({ blockdevices: z.array(z.unknown()) })

const parseRow = (raw: unknown): BlockDevice => {
  const row = Row.parse(raw)
  const label = [row.model, row.serial].map((text) => text?.trim() ?? '').filter((text) => text !== '').join(' ')
  return {
    ...(typeof row.fstype === 'string' && row.fstype !== '' ? { believed: { type: row.fstype, ...(typeof row.uuid === 'string' && row.uuid !== '' ? { uuid: row.uuid } : {}) } } : {}),
    ...(label === '' ? {} : { label }),
    node: row.kname, path: row.path, device: row['maj:min'], type: row.type, size: row.size, readOnly: row.ro,
    mountPoints: row.mountpoints.filter((path) => path !== null), children: (row.children ?? []).map(parseRow),
  }
}

/** None when lsblk knows no such block device. */
export const parseLsblk = (text: string): readonly BlockDevice[] => {
  try {
    return Report.parse(JSON.parse(text)).blockdevices.map(parseRow)
  } catch (error) {
    throw unexpected('lsblk', text, error)
  }
}

export interface BlkidFacts {
  /** `ext4`, `LVM2_member`, `crypto_LUKS` ...; absent of a mere partition table. */
  readonly type?: string
  readonly uuid?: string
  readonly label?: string
  /** `dos`, `gpt` ... */
  readonly partitionTable?: string
}

/** One `KEY=value` a line, anything odd behind a backslash. */
export const parseBlkid = (text: string): BlkidFacts => {
  const values = new Map(text.split('\n').filter((line) => line.includes('=')).map((line) => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals), line.slice(equals + 1).replace(/\\(.)/g, '$1')] as const
  }))
  const pick = (name: string, key: keyof BlkidFacts): BlkidFacts => {
    const value = values.get(name)
    return value === undefined || value === '' ? {} : { [key]: value }
  }
  return { ...pick('TYPE', 'type'), ...pick('UUID', 'uuid'), ...pick('LABEL', 'label'), ...pick('PTTYPE', 'partitionTable') }
}

const Signatures = z.object({ signatures: z.array(z.object({ type: z.string(), offset: z.string() })) })

/** Types of all signatures, as wipefs names them. */
export const parseSignatures = (text: string): readonly string[] => {
  try {
    return [...new Set(Signatures.parse(JSON.parse(text)).signatures.map(({ type }) => type))]
  } catch (error) {
    throw unexpected('wipefs', text, error)
  }
}
