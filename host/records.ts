/**
 * What this host remembers of SRs and attachments: small private files, each replaced atomically, shared by all processes.
 * No database: losing them loses no disk, an SR is found again by probe and attach. dconf may hold secrets, so nothing
 * here is readable for anybody else.
 *
 * Synchronous on purpose: the state directory is on this machine, a record is one page, and every call needs one.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { StorageError } from '../core/errors.ts'
import { isUuid, SrUuid, VdiUuid } from '../core/ids.ts'
import { lazily } from '../core/lazily.ts'
import type { AttachmentRecord, HostRecords, SrRecord } from '../core/ports.ts'

const SrRecordFile = lazily(() => z.strictObject({
  format: z.literal(1),
  uuid: SrUuid,
  type: z.string(),
  deviceConfig: z.record(z.string(), z.string()),
  attachedInBoot: z.string().optional(),
}))

const AttachmentFile = lazily(() => z.strictObject({
  format: z.literal(1),
  vdi: VdiUuid,
  mode: z.enum(['ro', 'rw']),
  attachment: z.strictObject({ path: z.string(), contentType: z.string(), driverData: z.record(z.string(), z.string()).optional() }),
  bootId: z.string(),
  attachedMs: z.number(),
}))

const parseFile = <T>(schema: z.ZodType<T>, path: string, text: string): T => {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new StorageError('ioError', `The record ${path} of this host is not readable: ${(error as Error).message.slice(0, 200)}`, {
      layer: 'host:records', cause: error, remedy: `Move ${path} away and attach or introduce the SR again; its disks are not affected`,
    })
  }
}

let temporaries = 0

/** Replaces a file so that readers see the old or the new content; `durable` also survives a power cut. */
const replace = (path: string, content: unknown, durable: boolean): void => {
  temporaries += 1
  const temporary = `${path}.${process.pid}-${temporaries}.tmp`
  const fd = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(fd, JSON.stringify(content))
    if (durable) fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
}

const filesOf = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.json') && isUuid(name.slice(0, -5)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Reads small files again only when they were replaced: every call asks for the same few. */
const createReader = <T>(schema: () => z.ZodType<T>) => {
  const known = new Map<string, { readonly version: string; readonly value: T }>()
  return (path: string): T | undefined => {
    const facts = statSync(path, { throwIfNoEntry: false })
    if (facts === undefined) {
      known.delete(path)
      return undefined
    }
    const version = `${facts.ino} ${facts.mtimeMs} ${facts.size}`
    const before = known.get(path)
    if (before?.version === version) return before.value
    const value = parseFile(schema(), path, readFileSync(path, 'utf8'))
    known.set(path, { version, value })
    return value
  }
}

/** `bootId`: attachments and attach marks of an earlier boot are nobody's any more. */
export const createHostRecords = (directory: string, bootId: string): HostRecords => {
  const srs = join(directory, 'srs')
  const attached = join(directory, 'attached')
  for (const path of [srs, attached]) mkdirSync(path, { recursive: true, mode: 0o700 })
  const srPath = (uuid: SrUuid): string => join(srs, `${uuid}.json`)
  const attachmentPath = (sr: SrUuid, vdi: string): string => join(attached, sr, `${vdi}.json`)
  const readSr = createReader(SrRecordFile)
  const readAttachment = createReader(AttachmentFile)

  const sr = (uuid: SrUuid): SrRecord | undefined => {
    const found = readSr(srPath(uuid))
    if (found === undefined) return undefined
    return { uuid: found.uuid, type: found.type, deviceConfig: found.deviceConfig, ...(found.attachedInBoot === undefined ? {} : { attachedInBoot: found.attachedInBoot }) }
  }

  const attachment = (uuid: SrUuid, vdi: VdiUuid): AttachmentRecord | undefined => {
    const found = readAttachment(attachmentPath(uuid, vdi))
    if (found === undefined || found.bootId !== bootId) return undefined
    const { path, contentType, driverData } = found.attachment
    return {
      vdi: found.vdi, mode: found.mode, bootId: found.bootId, attachedMs: found.attachedMs,
      attachment: { path, contentType, ...(driverData === undefined ? {} : { driverData }) },
    }
  }

  return {
    listSrs: () => filesOf(srs).flatMap((name) => sr(SrUuid.parse(name.slice(0, -5))) ?? []),
    sr,
    putSr: (record) => replace(srPath(record.uuid), { format: 1, ...record }, true),
    removeSr: (uuid) => {
      rmSync(srPath(uuid), { force: true })
      rmSync(join(attached, uuid), { recursive: true, force: true })
    },
    attachments: (uuid) => filesOf(join(attached, uuid)).flatMap((name) => attachment(uuid, VdiUuid.parse(name.slice(0, -5))) ?? []),
    attachment,
    putAttachment: (uuid, record) => {
      mkdirSync(join(attached, uuid), { recursive: true, mode: 0o700 })
      replace(attachmentPath(uuid, record.vdi), { format: 1, ...record }, false)
    },
    removeAttachment: (uuid, vdi) => rmSync(attachmentPath(uuid, vdi), { force: true }),
  }
}
