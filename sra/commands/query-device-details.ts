/** queryDeviceDetails: properties of devices, in groups or standalone, by their id at this array. */
import { StorageError, toStorageError } from '../../core/errors.ts'
import { withArray, type Here } from '../arrays.ts'
import { deviceProperties } from '../device-properties.ts'
import { shown } from '../log/log.ts'
import { errorMessage } from '../messages.ts'
import type { ArrayRun } from './index.ts'

const detailsOf = (here: Here, id: string) => {
  for (const unit of here.units) {
    const member = unit.members.find(({ volume }) => volume === id)
    if (member !== undefined) return { customProperties: deviceProperties.map(({ name, value }) => ({ name, value: value(unit, member) })) }
  }
  throw new StorageError('notFound', `The array ${shown(here.info.id)} has no replicated device ${shown(id)}`, { field: 'item', layer: 'sra', remedy: 'Discover the devices again' })
}

export const run: ArrayRun<'queryDeviceDetails'> = async (request, world) => withArray(request, world, async (here) => ({
  deviceDetails: { devices: request.parameters.devices.map(({ id }) => {
    try {
      return { id, ...detailsOf(here, id) }
    } catch (error) {
      return { id, error: errorMessage(toStorageError(error, 'sra')) }
    }
  }) },
}))
