/** Drivers that are not part of this project: a folder with driver.js, or an npm package in the state directory or beside this one. */
import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Driver } from '../core/contract.ts'
import { checkDriver } from '../core/define-driver.ts'
import { StorageError } from '../core/errors.ts'

const refuse = (kind: 'invalidArgument' | 'notFound' | 'permissionDenied', message: string, remedy: string, cause?: unknown): StorageError =>
  new StorageError(kind, message, { field: 'drivers', layer: 'engine', remedy, cause })

/** Its code runs with all rights of the storage manager: nobody else may be able to replace it. */
const refuseForeign = (paths: readonly string[]): void => {
  for (const path of paths) {
    const { uid, mode } = statSync(path)
    if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0) {
      throw refuse('permissionDenied', `${path} can be changed by other users: it is not loaded`, `chown root ${path}; chmod go-w ${path}`)
    }
  }
}

const inFolder = (folder: string): string => {
  const entry = ['driver.js', 'driver.mjs'].map((name) => join(folder, name)).find((path) => existsSync(path))
  if (entry === undefined) throw refuse('notFound', `There is no driver.js in ${folder}`, 'Name the folder that holds driver.js')
  return entry
}

/** Never from the working directory: whoever runs smctl in a folder of somebody else must not run its code. */
const inPackage = (name: string, stateDirectory: string): string => {
  for (const from of [join(stateDirectory, 'package.json'), import.meta.url]) {
    try {
      return createRequire(from).resolve(name)
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'MODULE_NOT_FOUND') {
        throw refuse('invalidArgument', `The package ${name} cannot be loaded: ${(error as Error).message}`, 'Its package.json must name driver.js in "exports" or "main"', error)
      }
    }
  }
  throw refuse('notFound', `There is no npm package ${name}`, `npm install --prefix ${stateDirectory} ${name}, or install it beside storage-manager`)
}

const entryOf = (source: string, stateDirectory: string): string => {
  if (!isAbsolute(source) && !/^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*$/.test(source)) {
    throw refuse('invalidArgument', `${JSON.stringify(source)} is neither an absolute folder nor the name of an npm package`, 'Write the folder with its full path')
  }
  const entry = isAbsolute(source) ? inFolder(source) : inPackage(source, stateDirectory)
  refuseForeign([dirname(entry), entry])
  return entry
}

/** Loads and checks one driver; its default export is what `defineDriver` made. */
export const loadExternalDriver = async (source: string, stateDirectory: string): Promise<Driver> => {
  let loaded: { readonly default?: Driver }
  try {
    loaded = (await import(pathToFileURL(entryOf(source, stateDirectory)).href)) as { readonly default?: Driver }
  } catch (error) {
    if (error instanceof StorageError) throw error
    throw refuse('invalidArgument', `The driver ${source} cannot be loaded: ${(error as Error).message}`, 'See docs/writing-a-driver.md', error)
  }
  const driver = loaded.default
  if (typeof driver !== 'object' || typeof driver.type !== 'string' || typeof driver.open !== 'function') {
    throw refuse('invalidArgument', `The default export of ${source} is no driver`, 'Export what defineDriver() answers; see docs/writing-a-driver.md')
  }
  checkDriver(driver)
  return driver
}
