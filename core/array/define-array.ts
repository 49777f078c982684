/** Makes an array driver out of its definition: the connection is parsed before its code sees it, and sections must go with the features declared. */
import type * as z from 'zod'
import { parseDconf } from '../define-driver.ts'
import { StorageError } from '../errors.ts'
import { arrayContractVersion, type ArrayDefinition, type ArrayDriver, type OpenArray } from './contract.ts'
import { arrayFeatures, type ArrayFeature } from './types.ts'

/** Which section of an open array must be there for a feature. */
const sectionOf = {
  accessControl: 'access', iscsi: 'iscsi', snapshot: 'snapshots', multiSnapshot: 'snapshots', restore: 'snapshots',
  clone: 'clones', cloneFromSnapshot: 'clones', split: 'clones', qos: 'qos', replication: 'replication',
} as const satisfies Partial<Record<ArrayFeature, keyof OpenArray>>

const wrong = (type: string, message: string): StorageError =>
  new StorageError('driverBug', `Array driver ${JSON.stringify(type)}: ${message}`, { layer: 'engine', remedy: 'See drivers/array-replication/contract.ts' })

const checkOpen = (definition: { readonly type: string; readonly features: ArrayDriver['features'] }, open: OpenArray): OpenArray => {
  for (const feature of arrayFeatures) {
    const section = Object.hasOwn(sectionOf, feature) ? sectionOf[feature as keyof typeof sectionOf] : undefined
    if (section !== undefined && definition.features[feature].level !== 'unsupported' && open[section] === undefined) {
      throw wrong(definition.type, `declares ${feature} and its open array has no ${section}`)
    }
  }
  return open
}

export const defineArray = <Schema extends z.ZodObject>(definition: ArrayDefinition<Schema>): ArrayDriver => {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(definition.type)) throw wrong(definition.type, 'its type must be lower-case letters, digits and dashes')
  if (definition.contract !== arrayContractVersion) throw wrong(definition.type, `was written for array contract ${definition.contract}; this version has ${arrayContractVersion}`)
  for (const [key, field] of Object.entries(definition.connection.shape)) {
    if (!(field as z.ZodType).description) throw wrong(definition.type, `its connection key ${key} has no description`)
  }
  if ((definition.features.replication.level !== 'unsupported') !== (definition.replication !== undefined)) throw wrong(definition.type, 'replication traits and the replication feature must go together')
  return {
    ...definition,
    connect: async (ctx, raw) => checkOpen(definition, await definition.connect(ctx, parseDconf(definition.type, definition.connection, raw, 'connection'))),
  }
}
