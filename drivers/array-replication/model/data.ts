/** The bytes of a model array: plain files, copied whole. Where a volume's content is depends on what its side of the unit is. */
import { copyFileSync, mkdirSync, openSync, closeSync, ftruncateSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelState, ModelUnit } from './state.ts'

export const volumeFile = (directory: string, volume: string): string => join(directory, 'volumes', volume)
export const copyDirectory = (directory: string, copy: string): string => join(directory, 'copies', copy)

export const makeBlank = (directory: string, volume: string, size: number): void => {
  mkdirSync(join(directory, 'volumes'), { recursive: true })
  const file = openSync(volumeFile(directory, volume), 'w', 0o600)
  ftruncateSync(file, size)
  closeSync(file)
}

export const removeVolumeFile = (directory: string, volume: string): void => rmSync(volumeFile(directory, volume), { force: true })
export const removeCopy = (directory: string, copy: string): void => rmSync(copyDirectory(directory, copy), { recursive: true, force: true })

/** The file that holds what the volume reads as: of a target, its part of the last complete cycle. */
export const contentFile = (directory: string, state: ModelState, volume: string): string => {
  const unit = Object.values(state.units).find(({ members }) => members.some((member) => member.volume === volume))
  return unit?.role === 'target' && unit.current !== undefined ? join(copyDirectory(directory, unit.current), volume) : volumeFile(directory, volume)
}

/** Copies named files into a copy directory of an array; the directory counts only once the state names it. */
export const makeCopy = (directory: string, copy: string, files: readonly { readonly from: string; readonly as: string }[]): void => {
  const to = copyDirectory(directory, copy)
  mkdirSync(to, { recursive: true })
  for (const { from, as } of files) copyFileSync(from, join(to, as))
}

/** The content of all members of a unit as one point. */
export const copyUnit = (directory: string, state: ModelState, unit: ModelUnit, copy: string): void =>
  makeCopy(directory, copy, unit.members.map(({ volume }) => ({ from: contentFile(directory, state, volume), as: volume })))

export const fill = (directory: string, volume: string, from: string): void => {
  mkdirSync(join(directory, 'volumes'), { recursive: true })
  copyFileSync(from, volumeFile(directory, volume))
}
