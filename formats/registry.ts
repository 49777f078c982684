/** The image formats by name. */
import type { ImageFormat } from './format.ts'
import { vhd } from './vhd/format.ts'

const formats: readonly ImageFormat[] = [vhd]

export const imageFormatNamed = (name: string): ImageFormat | undefined => formats.find((format) => format.name === name)
