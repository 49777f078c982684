/** From the array that a call names to an open one: configured or described, reached for the length of the call, its calls bounded. */
import type { ArrayDriver, OpenArray } from '../array/contract.ts'
import { openRecord, recordOf } from '../array/open.ts'
import type { ArrayRecord, NamedArray } from '../array/ports.ts'
import type { ArrayCtx } from '../array/types.ts'
import type { Call } from '../call.ts'
import { StorageError, toStorageError } from '../errors.ts'
import type { ArrayConnectionRef } from '../methods/array-wire.ts'
import type { ReplicationSite } from '../replication/site.ts'

export type ArrayRef = string | ArrayConnectionRef

export const arrayCtx = (call: Call): ArrayCtx => ({
  callId: call.callId, signal: call.signal, log: call.log, clock: call.engine.clock, host: call.engine.host, progress: call.progress,
})

const described = (call: Call, ref: ArrayRef): Omit<ArrayRecord, 'name'> => (typeof ref === 'string' ? recordOf(call.engine.arrays, ref) : { type: ref.type, connection: ref.device_config })

const openArray = async (call: Call, ref: ArrayRef): Promise<NamedArray> => openRecord(arrayCtx(call), call.engine.arrays, described(call, ref))

export const withArray = async <T>(call: Call, ref: ArrayRef, work: (array: OpenArray, ctx: ArrayCtx, driver: ArrayDriver) => Promise<T>): Promise<T> => {
  const { array, driver } = await openArray(call, ref)
  try {
    return await work(array, arrayCtx(call), driver)
  } catch (error) {
    throw toStorageError(error, `array:${array.type}`)
  } finally {
    await array.close().catch((error: unknown) => call.log.warn({ kind: toStorageError(error, 'engine').kind }, 'the array session was not closed'))
  }
}

/** A peer that cannot be reached is unknown: the call goes on with what the local array tells, and a warning. */
export const withSite = async <T>(call: Call, ref: ArrayRef, peer: ArrayRef | undefined, work: (site: ReplicationSite, warnings: readonly string[]) => Promise<T>): Promise<T> =>
  withArray(call, ref, async (local, ctx, driver) => {
    if (driver.replication === undefined) throw new StorageError('notSupported', `Arrays of type ${driver.type} do not replicate`, { field: 'array', layer: 'engine', remedy: 'smctl array types shows which do' })
    const site = { ctx, local, traits: driver.replication }
    if (peer === undefined) return work(site, [])
    // A wrong name or type is the caller's mistake, no dead peer.
    described(call, peer)
    let remote: OpenArray
    try {
      remote = (await openArray(call, peer)).array
    } catch (thrown) {
      const error = toStorageError(thrown, 'engine')
      if (error.kind === 'invalidArgument' || error.kind === 'unauthenticated') throw error
      return work(site, [`The peer array could not be reached: ${error.message}`])
    }
    try {
      return await work({ ...site, remote }, [])
    } finally {
      await remote.close().catch(() => undefined)
    }
  })
