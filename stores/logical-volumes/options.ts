/** What drivers that put VDIs into a volume group have in common, whatever it lies on: dconf keys about its volumes, features, limits. */
import * as z from 'zod'
import { MiB, parseSize, TiB } from '../../core/units.ts'
import type { VolumePlace } from './place.ts'
import type { PoolWish } from './prepare.ts'

const flag = (description: string, standard: 'yes' | 'no') =>
  z.enum(['yes', 'no'], 'must be yes or no').default(standard).meta({ description, examples: [standard === 'yes' ? 'no' : 'yes'] })

const groupOptions = {
  discard: flag('Tell the devices when space becomes free: good for SSDs and thin LUNs; some arrays handle it badly', 'no'),
}

export const thickOptions = {
  ...groupOptions,
  wipe: z.enum(['full', 'head'], 'must be full or head').default('full').meta({
    description: 'full: all of a deleted VDI is overwritten with zeros before its space is used again, a large one by the collector. head: only the first MiB of a new VDI is zeroed, the rest shows what was there before',
    examples: ['head'],
  }),
}

export const thinOptions = {
  ...groupOptions,
  errorwhenfull: flag('When the pool is full: yes lets writes fail at once with ENOSPC, no lets them wait for room (the kernel fails them after a minute)', 'yes'),
  metadatasize: z.string().regex(/^\d+(MiB|M|GiB|G)$/i, 'must be a size like 512M or 2G').optional().meta({
    description: 'Size of the metadata of the pool, for SR.create; LVM chooses one that fits the pool when absent. Many snapshots need more',
    examples: ['1G'],
  }),
}

type Options<Shape extends z.core.$ZodShape> = z.output<z.ZodObject<Shape>>
type Thick = Options<typeof thickOptions>
type Thin = Options<typeof thinOptions>

export const thickPlace = (devices: readonly string[], { discard, wipe }: Thick): VolumePlace => ({ devices, kind: 'thick', discard: discard === 'yes', wipe })

export const thinPlace = (devices: readonly string[], { discard, errorwhenfull }: Thin): VolumePlace =>
  ({ devices, kind: 'thin', discard: discard === 'yes', wipe: 'head', errorWhenFull: errorwhenfull === 'yes' })

export const poolWish = ({ errorwhenfull, metadatasize }: Thin): PoolWish => {
  const bytes = metadatasize === undefined ? undefined : parseSize(metadatasize)
  return { errorWhenFull: errorwhenfull === 'yes', ...(bytes === undefined ? {} : { metadataBytes: bytes }) }
}

/** Snapshots and clones are not offered: they answer ENOSYS (SM API, vdi_clone and vdi_snapshot). */
export const thickFeatures = ['create', 'destroy', 'resize', 'names', 'lock', 'collect', 'verify'] as const
export const thinFeatures = ['create', 'destroy', 'snapshot', 'clone', 'resize', 'revert', 'names', 'lock', 'verify'] as const

export const thickLimits = { minVdiSize: 4 * MiB, maxVdiSize: 8000 * TiB, sizeStep: 4 * MiB } as const
export const thinLimits = { minVdiSize: 4 * MiB, maxVdiSize: 256 * TiB, sizeStep: 4 * MiB } as const
