/** Opening images for a change, mended first when a crash of their last user left a footer behind. */
import type { Ctx } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { OpenFile } from '../../core/ports.ts'
import type { Image } from '../../formats/format.ts'
import { imageFormat } from './place.ts'
import { mustExist, type Store } from './store.ts'

/** Mends what can be mended without doubt; the VDI must be out of use. */
export const mendFirst = async (store: Store, ctx: Ctx, vdi: VdiUuid): ReturnType<typeof mustExist> => {
  const file = await store.place.files.open(store.paths.image(vdi), 'write')
  try {
    const mended = await imageFormat.repair(file, false)
    await file.sync()
    for (const { what } of mended) ctx.log.warn({ vdi, what }, 'mended an image before changing it')
  } finally {
    await file.close()
  }
  return mustExist(store, vdi)
}

export const withFile = async <T>(store: Store, vdi: VdiUuid, mode: 'read' | 'write', work: (file: OpenFile) => Promise<T>): Promise<T> => {
  const file = await store.place.files.open(store.paths.image(vdi), mode)
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

export const withImage = async <T>(store: Store, vdi: VdiUuid, mode: 'read' | 'write', work: (image: Image) => Promise<T>): Promise<T> =>
  withFile(store, vdi, mode, async (file) => work(await imageFormat.open(file)))
