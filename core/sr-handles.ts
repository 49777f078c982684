/** Opened SRs of this process, one handle each, reused by all calls. */
import type { Ctx, Driver, Sr } from './contract.ts'
import type { SrUuid } from './ids.ts'
import type { SrRecord } from './ports.ts'

export interface SrHandles {
  open(ctx: Ctx, driver: Driver, record: SrRecord): Promise<Sr>
  /** Closes the handle if there is one. */
  close(sr: SrUuid): Promise<void>
  closeAll(): Promise<void>
}

export const createSrHandles = (): SrHandles => {
  const handles = new Map<SrUuid, { readonly key: string; readonly opening: Promise<Sr> }>()

  const close = async (uuid: SrUuid): Promise<void> => {
    const handle = handles.get(uuid)
    if (handle === undefined) return
    handles.delete(uuid)
    // A handle that failed to open needs no closing; its opener was told.
    const sr = await handle.opening.catch(() => undefined)
    await sr?.close()
  }

  return {
    async open(ctx, driver, record) {
      // Re-attached with another dconf, or in another boot: the old handle speaks of a place that may be gone.
      const key = JSON.stringify([record.type, record.deviceConfig, record.attachedInBoot])
      const known = handles.get(record.uuid)
      if (known?.key === key) return known.opening
      if (known !== undefined) await close(record.uuid)
      const opening = driver.open(ctx, record.deviceConfig)
      handles.set(record.uuid, { key, opening })
      opening.catch(() => {
        if (handles.get(record.uuid)?.opening === opening) handles.delete(record.uuid)
      })
      return opening
    },
    close,
    closeAll: async () => {
      await Promise.all([...handles.keys()].map(close))
    },
  }
}
