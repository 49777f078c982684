/** The state of an open fixed image: its content, then a footer. */
import type { RandomAccess } from '../../core/bytes.ts'
import type { ImageSummary } from '../format.ts'
import { newFooter, type Footer } from './footer.ts'
import { writeZeros } from './sparse.ts'

export interface Fixed {
  readonly file: RandomAccess
  footer: Footer
  footerAt: number
  summary: ImageSummary
  readonly footerProblems: readonly string[]
  /** As in sparse images: a sync failed. */
  broken: boolean
}

/**
 * Steps: 1. zeros over everything that is not known to be zeros; 2. footer; 3. sync. The file is no image before 2, and
 * its maker gives it a name only afterwards.
 */
export const formatFixed = async (file: RandomAccess, image: { readonly size: number; readonly id: string; readonly createdMs: number }, blank: boolean): Promise<void> => {
  const length = await file.length()
  await writeZeros(file, blank ? Math.min(length, image.size) : 0, image.size)
  await file.write(image.size, newFooter({ type: 'fixed', ...image }))
  await file.sync()
}
