/** What is known of a VDI beside its image: kind, name, description. A plain disk without a name has no such file. */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'
import { VdiUuid } from '../../core/ids.ts'
import { lazily } from '../../core/lazily.ts'
import type { Files } from '../../core/ports.ts'
import { placeText, replaceText, stageText } from './durable.ts'
import type { Paths } from './place.ts'

export const maxFactsLength = 64 * 1024

const FactsFile = lazily(() => z.strictObject({
  format: z.literal(1),
  /** Absent: a disk. A base is nobody's disk any more, whatever its image says. */
  kind: z.enum(['snapshot', 'base']).optional(),
  /** A base that was a VDI until it was deleted: only its data is still needed, under its old name. */
  deleted: z.literal(true).optional(),
  name: z.string().optional(),
  description: z.string().optional(),
  shareable: z.boolean().optional(),
  snapshotOf: VdiUuid.optional(),
  snapshotMs: z.number().optional(),
}))
export type VdiFacts = Omit<z.infer<ReturnType<typeof FactsFile>>, 'format'>

export const noFacts: VdiFacts = {}

/** imageCorrupt when it cannot be read: whether the VDI may be written to is then unknown. */
export const parseFacts = (path: string, text: string | undefined): VdiFacts => {
  try {
    if (text === undefined) throw new Error('it is too long')
    const { format: _, ...facts } = FactsFile().parse(JSON.parse(text))
    return facts
  } catch (error) {
    throw new StorageError('imageCorrupt', `${path} is damaged: ${(error as Error).message.slice(0, 200)}`, {
      layer: 'store:image-files', cause: error, remedy: `Restore it from a backup, or move it away: the VDI is then shown as a disk without a name`,
    })
  }
}

export const readFacts = async (files: Files, paths: Paths, vdi: VdiUuid): Promise<VdiFacts> => {
  const path = paths.factsOf(vdi)
  const text = await files.readText(path, maxFactsLength)
  return text === undefined ? noFacts : parseFacts(path, text)
}

const compact = (facts: VdiFacts): VdiFacts =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined && value !== '' && value !== false))

export const hasFacts = (facts: VdiFacts): boolean => Object.keys(compact(facts)).length > 0

const textOf = (facts: VdiFacts): string => `${JSON.stringify({ format: 1, ...compact(facts) })}\n`

export const writeFacts = async (files: Files, paths: Paths, vdi: VdiUuid, facts: VdiFacts): Promise<void> =>
  replaceText(files, paths, paths.factsOf(vdi), textOf(facts))

/** `writeFacts` in two steps: everything that takes space first, the name later. */
export const stageFacts = async (files: Files, paths: Paths, facts: VdiFacts): Promise<string> => stageText(files, paths, textOf(facts))
export const placeFacts = async (files: Files, paths: Paths, vdi: VdiUuid, staged: string): Promise<void> => placeText(files, staged, paths.factsOf(vdi))

export const removeFacts = async (files: Files, paths: Paths, vdi: VdiUuid): Promise<void> => {
  if (await files.unlink(paths.factsOf(vdi))) await files.syncDirectory(paths.facts)
}
