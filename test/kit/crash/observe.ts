/** What users can see of an SR, as one value that can be compared: the measure of "old or new". */
import { createHash } from 'node:crypto'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import { StorageError } from '../../../core/errors.ts'
import { regionsOf } from '../pattern.ts'
import type { TestSr } from '../stage.ts'
import type { Disk } from '../case.ts'

export type Observed = 'absent' | { readonly sr: string; readonly vdis: Readonly<Record<string, string>> }

const contentOf = async (disk: Disk, vdi: VdiInfo): Promise<string> => {
  const hash = createHash('sha256')
  for (const { offset, length } of regionsOf(vdi.size)) hash.update(await disk.read(offset, length))
  return hash.digest('hex').slice(0, 16)
}

/** Everything that a user may rely on; where the data lies (parents, space) is the driver's own affair. */
const lineOf = (vdi: VdiInfo, content: string): string =>
  JSON.stringify({
    kind: vdi.kind, size: vdi.size, name: vdi.name, description: vdi.description, shareable: vdi.shareable, read_only: vdi.read_only,
    snapshot_of: vdi.snapshot_of, snapshot_time: vdi.snapshot_time, lock: vdi.lock === undefined ? undefined : `${vdi.lock.owner} ${vdi.lock.epoch}`,
    problem: vdi.problem?.message, content,
  })

export const notThere = (error: unknown): boolean =>
  error instanceof StorageError && (error.kind === 'notFound' || error.kind === 'placeMissing' || error.kind === 'identityMismatch')

/** Reads every disk of an attached SR through its attachment. */
export const observe = async (sr: TestSr, open: (attachment: Awaited<ReturnType<typeof attach>>) => Promise<Disk>): Promise<Observed> => {
  const contents = await sr.scan()
  const vdis: Record<string, string> = {}
  for (const vdi of contents.vdis) {
    if (vdi.kind === 'base') continue
    if (vdi.problem !== undefined) {
      vdis[vdi.uuid] = lineOf(vdi, '')
      continue
    }
    const disk = await open(await attach(sr, vdi.uuid))
    vdis[vdi.uuid] = lineOf(vdi, await contentOf(disk, vdi))
    await disk.close()
    if (vdi.attached === undefined) await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
  }
  return { sr: JSON.stringify([contents.name, contents.description]), vdis: Object.fromEntries(Object.entries(vdis).sort(([a], [b]) => (a < b ? -1 : 1))) }
}

const attach = async (sr: TestSr, vdi: string) => sr.call('VDI.attach', { vdi_uuid: vdi })

export const same = (a: Observed, b: Observed): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Only what differs, for an error that can be read. */
export const difference = (found: Observed, wanted: Observed): string => {
  if (found === 'absent' || wanted === 'absent') return `found ${found === 'absent' ? 'no SR' : 'an SR'}, wanted ${wanted === 'absent' ? 'none' : 'one'}`
  const lines = [...new Set([...Object.keys(found.vdis), ...Object.keys(wanted.vdis)])].filter((vdi) => found.vdis[vdi] !== wanted.vdis[vdi])
    .map((vdi) => `  ${vdi}\n    found  ${found.vdis[vdi] ?? 'nothing'}\n    wanted ${wanted.vdis[vdi] ?? 'nothing'}`)
  return [...(found.sr === wanted.sr ? [] : [`  SR names: found ${found.sr}, wanted ${wanted.sr}`]), ...lines].join('\n')
}
