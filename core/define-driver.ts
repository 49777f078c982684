/** Makes a driver out of its definition: features checked by the compiler, dconf parsed before driver code sees it. */
import * as z from 'zod'
import {
  contractVersion,
  oldestContract,
  type DeviceConfig,
  type Driver,
  type DriverCalls,
  type DriverDescriptor,
  type Feature,
  type Sr,
  type SrCore,
  type SrWith,
} from './contract.ts'
import { StorageError } from './errors.ts'
import { invalidFromZod } from './invalid.ts'

type Definition<Schema extends z.ZodObject, F extends readonly Feature[]> = DriverDescriptor & {
  readonly features: F
  readonly dconf: Schema
} & Omit<DriverCalls<z.output<Schema>>, 'open'> & {
    open(ctx: Parameters<DriverCalls<never>['open']>[0], dconf: z.output<Schema>): Promise<SrCore & SrWith<F[number]> & Pick<Sr, 'features'>>
  }

/** Parses a raw dconf. Every violation is told at once, by key; values of secret keys are never repeated. */
export const parseDconf = <Schema extends z.ZodObject>(type: string, schema: Schema, raw: DeviceConfig, prefix = 'device_config'): z.output<Schema> => {
  const parsed = schema.safeParse(raw)
  if (parsed.success) return parsed.data
  throw invalidFromZod(parsed.error, {
    layer: `driver:${type}`,
    prefix,
    known: Object.keys(schema.shape),
    remedy: `${prefix === 'device_config' ? `A ${type} SR` : `An array of type ${type}`} takes: ${Object.keys(schema.shape).join(', ')}`,
  })
}

/** Half a dconf, as a probe gets it: what is there must be right, what is missing is the question. */
const checkPartial = (type: string, schema: z.ZodObject, raw: DeviceConfig): DeviceConfig => {
  parseDconf(type, z.strictObject(Object.fromEntries(Object.entries(schema.shape).map(([key, field]) => [key, z.optional(field)]))), raw)
  return raw
}

/** Keys whose schema bears a mark. Asked by every call of an SR, so looked up once a schema. */
const keysMarked = (mark: 'secret' | 'array'): ((schema: z.ZodObject) => readonly string[]) => {
  const known = new WeakMap<z.ZodObject, readonly string[]>()
  return (schema) => {
    const keys = known.get(schema) ?? Object.entries(schema.shape).flatMap(([key, field]) => ((field as z.ZodType).meta()?.[mark] === true ? [key] : []))
    known.set(schema, keys)
    return keys
  }
}

/** Keys of a dconf schema whose values are secrets. */
export const secretKeys = keysMarked('secret')
/** Those whose values name a configured array: its connection has secrets, too. */
export const arrayKeys = keysMarked('array')

/**
 * Checks a driver when it is loaded: contract version in the accepted range, a type that can be a file name, a strict
 * dconf with a sentence for every key, and the functions that go with what it declares.
 */
export const checkDriver = (driver: Driver): void => {
  const wrong = (message: string): never => {
    throw new StorageError('invalidArgument', `Driver ${JSON.stringify(driver.type)}: ${message}`, {
      layer: 'engine',
      remedy: 'See docs/writing-a-driver.md',
    })
  }
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(driver.type)) wrong('its type must be lower-case letters, digits and dashes')
  if (!/^[A-Za-z][A-Za-z0-9]{0,31}$/.test(driver.executable)) wrong('its executable name must be letters and digits')
  if (driver.contract < oldestContract || driver.contract > contractVersion) {
    wrong(`it was written for contract ${driver.contract}; this version accepts ${oldestContract} to ${contractVersion}`)
  }
  for (const [key, field] of Object.entries(driver.dconf.shape)) {
    if (!(field as z.ZodType).description) wrong(`its dconf key ${key} has no description`)
  }
  const paired = [['create', 'prepare'], ['delete', 'remove'], ['introduce', 'adopt'], ['reidentify', 'reidentify']] as const
  for (const [operation, call] of paired) {
    if (driver.srOperations.includes(operation) !== (driver[call] !== undefined)) {
      wrong(`it ${driver[call] ? 'implements' : 'lacks'} ${call}() and ${driver[call] ? 'does not declare' : 'declares'} SR operation ${operation}`)
    }
  }
}

export const defineDriver = <Schema extends z.ZodObject, const F extends readonly Feature[]>(
  definition: Definition<Schema, F>,
): Driver => {
  const parse = (raw: DeviceConfig): z.output<Schema> => parseDconf(definition.type, definition.dconf, raw)
  const { prepare, adopt, reidentify, remove, takeOver, letGo, ...rest } = definition
  return {
    ...rest,
    probe: async (ctx, raw) => definition.probe(ctx, checkPartial(definition.type, definition.dconf, raw)),
    ...(prepare ? { prepare: async (ctx, raw, want) => prepare(ctx, parse(raw), want) } : {}),
    ...(adopt ? { adopt: async (ctx, raw, want) => adopt(ctx, parse(raw), want) } : {}),
    ...(reidentify ? { reidentify: async (ctx, raw, want) => reidentify(ctx, parse(raw), want) } : {}),
    ...(remove ? { remove: async (ctx, raw) => remove(ctx, parse(raw)) } : {}),
    ...(takeOver ? { takeOver: async (ctx, raw, from) => takeOver(ctx, parse(raw), from) } : {}),
    ...(letGo ? { letGo: async (ctx, raw, vdi, attachment) => letGo(ctx, parse(raw), vdi, attachment) } : {}),
    attach: async (ctx, raw) => definition.attach(ctx, parse(raw)),
    detach: async (ctx, raw) => definition.detach(ctx, parse(raw)),
    open: async (ctx, raw) => (await definition.open(ctx, parse(raw))) as Sr,
  }
}
