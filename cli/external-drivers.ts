/** Drivers that are not part of this project: a folder with driver.js, or an installed npm package. */
import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Driver } from '../core/contract.ts'
import { checkDriver } from '../core/define-driver.ts'
import { StorageError } from '../core/errors.ts'

const entryOf = (source: string): string => {
  if (!isAbsolute(source)) {
    if (!/^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*$/.test(source)) {
      throw new StorageError('invalidArgument', `${JSON.stringify(source)} is neither an absolute folder nor the name of an npm package`, { field: 'drivers', layer: 'engine', remedy: 'Write the folder with its full path' })
    }
    return createRequire(join(process.cwd(), 'package.json')).resolve(source)
  }
  const entry = ['driver.js', 'driver.mjs'].map((name) => join(source, name)).find((path) => existsSync(path))
  if (entry === undefined) {
    throw new StorageError('notFound', `There is no driver.js in ${source}`, { field: 'drivers', layer: 'engine', remedy: 'Name the folder that holds driver.js' })
  }
  // Its code runs with all rights of the storage manager: nobody else may be able to replace it.
  for (const path of [source, entry]) {
    const { uid, mode } = statSync(path)
    if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0) {
      throw new StorageError('permissionDenied', `${path} can be changed by other users: it is not loaded`, { field: 'drivers', layer: 'engine', remedy: `chown root ${path}; chmod go-w ${path}` })
    }
  }
  return entry
}

/** Loads and checks one driver; its default export is what `defineDriver` made. */
export const loadExternalDriver = async (source: string): Promise<Driver> => {
  let loaded: { readonly default?: Driver }
  try {
    loaded = (await import(pathToFileURL(entryOf(source)).href)) as { readonly default?: Driver }
  } catch (error) {
    if (error instanceof StorageError) throw error
    throw new StorageError('invalidArgument', `The driver ${source} cannot be loaded: ${(error as Error).message}`, { field: 'drivers', layer: 'engine', cause: error, remedy: 'See docs/writing-a-driver.md' })
  }
  const driver = loaded.default
  if (typeof driver !== 'object' || typeof driver.type !== 'string' || typeof driver.open !== 'function') {
    throw new StorageError('invalidArgument', `The default export of ${source} is no driver`, { field: 'drivers', layer: 'engine', remedy: 'Export what defineDriver() answers; see docs/writing-a-driver.md' })
  }
  checkDriver(driver)
  return driver
}
