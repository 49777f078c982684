/** sr.json: what makes a directory an SR, with the names people gave it. The directory is the only place they live in. */
import * as z from 'zod'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { SrUuid } from '../../core/ids.ts'

const Identity = z.strictObject({ format: z.literal(1), uuid: SrUuid, name: z.string(), description: z.string() })
export type Identity = Omit<z.infer<typeof Identity>, 'format'>

const fileName = 'sr.json'
const limit = 64 * 1024

/** The identity itself, and what an interrupted write of it left. */
export const isIdentity = (name: string): boolean => name === fileName || name.startsWith(`${fileName}.`)

/** Writes a file under a name that nobody reads, so that it is whole when it gets its real one. */
export const writeWhole = async (ctx: Ctx, path: string, text: string): Promise<string> => {
  const temporary = `${path}.tmp`
  // Left by a crash: nobody else writes it, the lock of its object is held.
  await ctx.host.files.unlink(temporary)
  const file = await ctx.host.files.create(temporary)
  try {
    await file.write(0, new TextEncoder().encode(text))
    await file.sync()
  } finally {
    await file.close()
  }
  return temporary
}

/** undefined: proven absent. */
export const readIdentity = async (ctx: Ctx, location: string): Promise<Identity | undefined> => {
  const text = await ctx.host.files.readText(`${location}/${fileName}`, limit)
  if (text === undefined) return undefined
  try {
    const { uuid, name, description } = Identity.parse(JSON.parse(text))
    return { uuid, name, description }
  } catch (error) {
    throw new StorageError('imageCorrupt', `${location}/${fileName} is not what it should be`, { layer: 'driver:template', cause: error, remedy: 'Restore it from a backup; the VDIs beside it are not affected' })
  }
}

/** `new`: fails with alreadyExists when another one was faster. */
export const writeIdentity = async (ctx: Ctx, location: string, identity: Identity, how: 'new' | 'replace'): Promise<void> => {
  const { files } = ctx.host
  const path = `${location}/${fileName}`
  const temporary = await writeWhole(ctx, path, JSON.stringify({ format: 1, ...identity }))
  if (how === 'replace') {
    await files.rename(temporary, path)
  } else {
    await files.link(temporary, path)
    await files.unlink(temporary)
  }
  await files.syncDirectory(location)
}
