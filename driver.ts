/**
 * What authors of drivers import (`storage-manager/driver`): the contract, the function that makes a driver of a definition,
 * errors, and the small helpers that every driver needs. docs/writing-a-driver.md walks through one.
 */
export * from './core/contract.ts'
export { defineDriver } from './core/define-driver.ts'
export { errorTable, reportError, StorageError, toStorageError, type ErrorFacts, type ErrorKind, type ErrorReport } from './core/errors.ts'
export { asSrUuid, asVdiUuid, copiedVdiUuid, isUuid, SrUuid, VdiUuid } from './core/ids.ts'
export type * from './core/ports.ts'
export { GiB, KiB, MiB, roundDown, roundUp, sectorSize, TiB } from './core/units.ts'
export { isLocked } from './core/wire.ts'
