/** queryInfo: who the adapter is. */
import { createHash } from 'node:crypto'
import { en } from '../strings/en.ts'
import type { Run } from './index.ts'

/**
 * Identity of the adapter for SRM: the same in every version, another for every type of array, as SRM may hold several adapters of
 * ours. Name-based (RFC 4122, 4.3, version 5).
 */
const adapterUuid = (arrayType: string): string => {
  const namespace = Buffer.from('0b1f8c5e6a0d4f4e9a553d2f6f0c7e21', 'hex')
  const bytes = createHash('sha1').update(namespace).update(arrayType).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

export const run: Run<'queryInfo'> = async (_, { adapter }) => ({
  adapterInfo: {
    name: { text: `${en.texts.AdapterName} (${adapter.arrayTitle})` },
    version: adapter.version,
    vendor: { text: en.texts.VendorName, stringId: 'VendorName' },
    uuid: adapterUuid(adapter.arrayType),
    ...(adapter.helpUrl === undefined ? {} : { helpUrl: adapter.helpUrl }),
  },
})
