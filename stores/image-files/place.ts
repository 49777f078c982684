/**
 * Where an image store lives, and what its files are called. Everything of ours beside the images is in one directory, so
 * that the place stays readable for people and for other tools:
 *
 *   <vdi uuid>.vhd                 an image; its parent, if any, lies beside it
 *   .storage-manager/sr.json       identity, name and description of the SR
 *   .storage-manager/copy.json     in a re-identified copy: which SR and which VDIs it was made of
 *   .storage-manager/vdis/         <vdi uuid>.json: kind, name, description ... of a VDI that has any
 *   .storage-manager/locks/        <vdi uuid>.<n>: persistent VDI locks
 *   .storage-manager/intents/      what is under way: names say what, see intents.ts
 */
import { isUuid, asVdiUuid, type VdiUuid } from '../../core/ids.ts'
import type { SrCore } from '../../core/contract.ts'
import type { Files, Scanner } from '../../core/ports.ts'
import type { ImageFormat } from '../../formats/format.ts'
import { vhd } from '../../formats/vhd/format.ts'

/** A directory that a driver has made reachable, and the way to work in it. */
export interface ImagePlace {
  readonly directory: string
  readonly files: Files
  readonly scanner: Scanner
  /** Images from a leaf to its root, at most. */
  readonly maxChain: number
  /** Between hosts that share the directory. */
  readonly guard?: NonNullable<SrCore['guard']>
}

/** The format of new images and, as long as there is one, of all. */
export const imageFormat: ImageFormat = vhd

export const storeDirectory = '.storage-manager'

export interface Paths {
  readonly images: string
  readonly own: string
  readonly identity: string
  readonly copy: string
  readonly facts: string
  readonly locks: string
  readonly intents: string
  image(vdi: VdiUuid): string
  factsOf(vdi: VdiUuid): string
  intent(name: string): string
}

export const pathsOf = (directory: string): Paths => {
  const own = `${directory}/${storeDirectory}`
  return {
    images: directory,
    own,
    identity: `${own}/sr.json`,
    copy: `${own}/copy.json`,
    facts: `${own}/vdis`,
    locks: `${own}/locks`,
    intents: `${own}/intents`,
    image: (vdi) => `${directory}/${imageFileName(vdi)}`,
    factsOf: (vdi) => `${own}/vdis/${vdi}.json`,
    intent: (name) => `${own}/intents/${name}`,
  }
}

export const imageFileName = (vdi: VdiUuid): string => `${vdi}.${imageFormat.extension}`

/** The VDI an image file belongs to; undefined for any other name. */
export const vdiOfFileName = (name: string): VdiUuid | undefined => {
  const suffix = `.${imageFormat.extension}`
  if (!name.endsWith(suffix)) return undefined
  const uuid = name.slice(0, -suffix.length)
  return isUuid(uuid) ? asVdiUuid(uuid) : undefined
}

/** The parent VDI by the names that a child recorded: paths of any system; only the last component counts. */
export const vdiOfParentNames = (names: readonly string[]): VdiUuid | undefined => {
  for (const name of names) {
    const vdi = vdiOfFileName((name.split(/[/\\]/).pop() ?? '').toLowerCase())
    if (vdi !== undefined) return vdi
  }
  return undefined
}
