import metaSchema from '@open-rpc/meta-schema'
import { Ajv, type AnySchemaObject } from 'ajv'
import { describe, expect, it } from 'vitest'
import { errorTable } from '../../core/errors.ts'
import { methodNames, methodShape } from '../../core/methods/index.ts'
import { frontMethodNames } from '../../rpc/front-methods.ts'
import { openrpcDocument } from '../../rpc/openrpc.ts'

interface Described {
  readonly name: string
  readonly params: readonly { readonly name: string; readonly required: boolean; readonly schema: AnySchemaObject }[]
  readonly result: { readonly schema: AnySchemaObject }
  readonly errors: readonly { readonly $ref: string }[]
  readonly examples: readonly { readonly params: readonly { readonly name: string; readonly value: unknown }[]; readonly result: { readonly value: unknown } }[]
}
interface Document {
  readonly methods: readonly Described[]
  readonly components: { readonly schemas: Readonly<Record<string, AnySchemaObject>>; readonly errors: Readonly<Record<string, { readonly code: number }>> }
  readonly 'x-call': { readonly schema: AnySchemaObject }
}

const document = JSON.parse(JSON.stringify(openrpcDocument('1.2.3'))) as Document

/** The meta schema names JSON Schema draft 7 by an address of its own; ajv has it under the usual one. */
const metaSchemaHere = (): AnySchemaObject => {
  const { $schema: _, ...schema } = ((metaSchema as unknown as { readonly default?: AnySchemaObject }).default ?? metaSchema) as AnySchemaObject
  const draft7 = 'http://json-schema.org/draft-07/schema#'
  return JSON.parse(JSON.stringify(schema)
    .replaceAll('"https://meta.json-schema.tools/#/definitions/JSONSchemaObject/properties/$ref"', `"${draft7}/properties/$ref"`)
    .replaceAll('"https://meta.json-schema.tools"', `"${draft7}"`)) as AnySchemaObject
}

const valueAjv = (): Ajv => {
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: true })
  ajv.addFormat('uuid', /^[0-9a-f-]{36}$/)
  ajv.addSchema({ $id: 'doc', components: document.components } as AnySchemaObject)
  return ajv
}
const anchored = (schema: AnySchemaObject): AnySchemaObject => JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"doc#/')) as AnySchemaObject

describe('the OpenRPC document', () => {
  it('is one by the meta schema of OpenRPC', () => {
    const ajv = new Ajv({ strict: false, formats: { uri: true, 'uri-reference': true, regex: true } })
    const validate = ajv.compile(metaSchemaHere())
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true)
    // The check itself can fail.
    expect(validate({ ...document, methods: [{ name: '', params: 1 }] })).toBe(false)
  })

  it('describes every call of the table and of the front, and nothing else', () => {
    expect(document.methods.map((method) => method.name).sort()).toEqual([...methodNames, ...frontMethodNames].sort())
  })

  it('names the parameters of the table, required ones as such', () => {
    for (const name of methodNames) {
      const { params } = methodShape(name)
      const described = document.methods.find((method) => method.name === name)
      expect(described?.params.map((param) => param.name)).toEqual(Object.keys(params.shape))
      for (const param of described?.params ?? []) expect(param.required, `${name} ${param.name}`).toBe(!params.shape[param.name]?.safeParse(undefined).success)
    }
  })

  it('has all that it refers to, and an error for every kind of the table with the number that is sent', () => {
    for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = (pointer ?? '').split('/').reduce<unknown>((at, key) => (at as Readonly<Record<string, unknown>> | undefined)?.[key], document)
      expect(target, pointer).toBeDefined()
    }
    expect(Object.keys(document.components.errors)).toEqual(Object.keys(errorTable))
    expect(document.components.errors['invalidArgument']?.code).toBe(-32602)
    expect(document.components.errors['busy']?.code).toBe(errorTable.busy.code)
  })

  it.each(document.methods)('gives an example of $name that its own schemas allow', ({ params, result, examples }) => {
    const ajv = valueAjv()
    for (const example of examples) {
      for (const { name, value } of example.params) {
        const schema = anchored(params.find((param) => param.name === name)?.schema ?? { not: {} })
        expect(ajv.validate(schema, value), `${name}: ${ajv.errorsText()}`).toBe(true)
      }
      expect(params.filter((param) => param.required).every((param) => example.params.some((given) => given.name === param.name))).toBe(true)
      expect(ajv.validate(anchored(result.schema), example.result.value), ajv.errorsText()).toBe(true)
    }
    expect(examples.length).toBeGreaterThan(0)
  })

  it('describes the envelope of a request', () => {
    expect(Object.keys(document['x-call'].schema['properties'] as object)).toEqual(['id', 'place', 'progress'])
  })
})
