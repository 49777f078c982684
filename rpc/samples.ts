/** A value that a JSON Schema allows, for the examples of the OpenRPC document. Knows the few keywords our schemas use. */

export interface JsonSchema {
  readonly [keyword: string]: unknown
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly enum?: readonly unknown[]
  readonly examples?: readonly unknown[]
  readonly $ref?: string
}

const uuid = '98de866e-b035-4b1a-a571-613bff542b89'

const stringSample = ({ pattern }: JsonSchema): string => {
  const text = typeof pattern === 'string' ? pattern : '.'
  return ['a', uuid].find((candidate) => new RegExp(text, 'u').test(candidate)) ?? ''
}

export const sampleOf = (schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): unknown => {
  const first = schema.examples?.[0] ?? schema['default'] ?? schema['const'] ?? schema.enum?.[0]
  if (first !== undefined) return first
  if (schema.$ref !== undefined) return sampleOf(components[schema.$ref.split('/').at(-1) ?? ''] ?? {}, components)
  const branch = schema.anyOf?.[0] ?? schema.allOf?.[0]
  if (branch !== undefined) return sampleOf(branch, components)
  const byType: Readonly<Record<string, () => unknown>> = {
    string: () => stringSample(schema),
    integer: () => (typeof schema['exclusiveMinimum'] === 'number' ? schema['exclusiveMinimum'] + 1 : 1),
    number: () => 1,
    boolean: () => true,
    array: () => (schema.items === undefined ? [] : [sampleOf(schema.items, components)]),
    object: () => Object.fromEntries((schema.required ?? []).map((key) => [key, sampleOf(schema.properties?.[key] ?? {}, components)])),
  }
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.[0]
  return byType[type ?? '']?.() ?? {}
}
