/** The VHD format behind the seam: what is written is xapi's dialect, what is read is everybody's. */
import type { ImageFormat } from '../format.ts'
import { absorb } from './absorb.ts'
import { checkNewImage, createSparse, limits } from './create.ts'
import { formatFixed } from './fixed.ts'
import { openImage } from './image.ts'
import { repair } from './repair.ts'
import { replay } from './replay.ts'
import { headLength, judge, summaryOf, tailLength } from './summary.ts'

export const vhd: ImageFormat = {
  name: 'vhd',
  extension: 'vhd',
  limits,
  headLength,
  tailLength,
  summarize: (head, tail, fileLength) => summaryOf(judge(head, tail, fileLength), head),
  create: createSparse,
  async createFixed(file, image, options) {
    checkNewImage(image)
    await formatFixed(file, image, options?.blank ?? false)
  },
  open: openImage,
  repair,
  replay,
  absorb,
}
