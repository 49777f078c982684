/**
 * From what the user entered at SRM to the connection of a driver. The address names an array that was configured here (`smctl array
 * add`), or is the address itself. User and password count when they were given; everything else comes from the configured array or
 * from the optional parameter `settings`.
 */
import { keyOfRole } from '../core/array/connection-roles.ts'
import type { ArrayDriver } from '../core/array/contract.ts'
import type { ArrayRecords } from '../core/array/ports.ts'
import type { ArrayConnection } from '../core/array/types.ts'
import { secretKeys } from '../core/define-driver.ts'
import { StorageError } from '../core/errors.ts'
import { parameterIds } from './connection-parameters.ts'
import type { Connections } from './schema/index.ts'

type Entered = Connections[number]

const wrong = (field: string, found: string, remedy: string): StorageError => new StorageError('invalidArgument', `${field}: ${found}`, { field, layer: 'sra', remedy })

const opaque = (entered: Entered, id: string): string | undefined => {
  const text = entered.opaques?.find((one) => one.id === id)?.text.trim()
  return text === '' ? undefined : text
}

/** Only units whose name begins so are known to any command; undefined: all are. */
export const filterOf = (entered: Entered): string | undefined => opaque(entered, parameterIds.filter)

/** `key=value`, separated by blanks; a value with blanks stands in double quotes. Values are never repeated in errors. */
const readSettings = (text: string, driver: ArrayDriver): ArrayConnection => {
  const secrets = secretKeys(driver.connection)
  const settings: Record<string, string> = {}
  for (const [whole, key = '', quoted, plain] of text.matchAll(/\s*(?:([A-Za-z0-9_]+)=(?:"([^"]*)"|([^\s"]*))|\S+)/g)) {
    if (key === '') throw wrong('settings', `a part of it is no key=value (${whole.trim().length} characters)`, 'Write it as key=value key="value with blanks"')
    if (secrets.includes(key)) throw wrong('settings', `${key} is a secret, and SRM protects only user and password`, `Configure the array here (smctl array add) and give its name as address`)
    if (Object.hasOwn(settings, key)) throw wrong('settings', `${key} is given twice`, `Give ${key} once`)
    settings[key] = quoted ?? plain ?? ''
  }
  return settings
}

const addressOf = (entered: Entered): string => {
  const text = (entered.addresses.find((one) => one.id === parameterIds.address) ?? entered.addresses[0])?.text.trim() ?? ''
  if (text !== '') return text
  throw wrong('address', 'it is empty', 'Give the name of an array that is configured here (smctl array list), or the address of the array')
}

/** invalidArgument when the named array is of another type, or when settings cannot be read. */
export const connectionOf = (entered: Entered, driver: ArrayDriver, records: ArrayRecords): ArrayConnection => {
  const address = addressOf(entered)
  // Looked up among what there is: an address is no name of a file.
  const record = records.list().find(({ name }) => name === address)
  if (record !== undefined && record.type !== driver.type) {
    throw wrong('address', `the array ${address} is of type ${record.type}, and this adapter is for ${driver.type}`, 'Name an array of that type: smctl array list')
  }
  const key = { address: keyOfRole(driver.connection, 'address'), username: keyOfRole(driver.connection, 'username'), password: keyOfRole(driver.connection, 'password') }
  if (record === undefined && key.address === undefined) {
    throw wrong('address', `there is no configured array ${JSON.stringify(address.slice(0, 64))}`, `Configure it: smctl array add NAME ${driver.type} key=value...`)
  }
  const settings = opaque(entered, parameterIds.settings)
  const given = (name: string | undefined, value: string | undefined): ArrayConnection => (name === undefined || value === undefined || value === '' ? {} : { [name]: value })
  return {
    ...(record === undefined ? given(key.address, address) : record.connection),
    ...(settings === undefined ? {} : readSettings(settings, driver)),
    ...given(key.username, entered.username), ...given(key.password, entered.password),
  }
}
