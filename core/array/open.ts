/** Opens arrays: reached, their replication calls bounded, their failures named after them. */
import { StorageError, toStorageError } from '../errors.ts'
import { boundArray } from '../replication/bounded.ts'
import type { ArrayOpener, ArrayRecord, Arrays, NamedArray } from './ports.ts'
import type { ArrayCtx } from './types.ts'

/** Milliseconds. An array that is slower than this is taken for dead: a forced promotion may hang for ever. */
const callDeadlineMs = 120_000

export const openRecord = async (ctx: ArrayCtx, { registry }: Arrays, { type, connection }: Omit<ArrayRecord, 'name'>): Promise<NamedArray> => {
  const driver = await registry.load(type)
  try {
    return { array: boundArray(await driver.connect(ctx, connection), callDeadlineMs), driver }
  } catch (error) {
    throw toStorageError(error, `array:${type}`)
  }
}

export const recordOf = ({ records }: Arrays, name: string): ArrayRecord => {
  const record = records.get(name)
  if (record !== undefined) return record
  const known = records.list().map((one) => one.name)
  throw new StorageError('notFound', `There is no configured array ${JSON.stringify(name)}`, {
    field: 'array', layer: 'engine', remedy: known.length === 0 ? 'Configure one: smctl array add <name> <type> key=value...' : `The configured ones are: ${known.join(', ')}`,
  })
}

export const createArrayOpener = (arrays: Arrays): ArrayOpener => ({
  names: () => arrays.records.list().map(({ name }) => name),
  open: async (ctx, name) => openRecord(ctx, arrays, recordOf(arrays, name)),
})
