/** Texts of hosts on a model array, by key. */
import type { ArrayMetadata } from '../../../core/array/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import { layer, readState, withFirmware } from './state.ts'

const maxValue = 64 * 1024

const checked = (key: string, value = ''): void => {
  if (!/^[a-z0-9.-]{1,100}$/.test(key)) throw new StorageError('invalidArgument', `key: ${JSON.stringify(key.slice(0, 60))} cannot be a key`, { layer, field: 'key', remedy: 'Up to 100 of a-z, 0-9, dot and dash' })
  if (Buffer.byteLength(value) > maxValue) throw new StorageError('invalidArgument', `value: has ${Buffer.byteLength(value)} bytes; at most ${maxValue} fit`, { layer, field: 'value', remedy: 'Shorten it' })
}

export const modelMetadata = (directory: string): ArrayMetadata => ({
  maxValue,
  list: async (_ctx, prefix) => new Map(Object.entries(readState(directory).metadata).filter(([key]) => key.startsWith(prefix))),
  async create(_ctx, key, value) {
    checked(key, value)
    return withFirmware(directory, ({ own }) => {
      if (Object.hasOwn(own.metadata, key)) return false
      own.metadata[key] = value
      return true
    })
  },
  async put(_ctx, key, value) {
    checked(key, value)
    withFirmware(directory, ({ own }) => (own.metadata[key] = value))
  },
  async remove(_ctx, key) {
    withFirmware(directory, ({ own }) => delete own.metadata[key])
  },
})
