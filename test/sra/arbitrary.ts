/** Any value of a table, for properties: what the writer is allowed to be given. */
import * as fc from 'fast-check'
import { propertyOf, type Attributes, type Children, type Shape, type Value } from '../../sra/schema/shape.ts'
import { carried } from '../../sra/values.ts'

const anyString = (filled: boolean, maxLength = 12): fc.Arbitrary<string> =>
  fc.oneof(fc.string({ unit: 'binary', maxLength }), fc.constantFrom('__proto__', 'constructor', ' a:b "c"\'<d>&amp;\r\n\t', '日本語 ')).map((text) => carried(text).slice(0, 40)).filter((text) => !filled || text.trim() !== '')

const anyValue = (value: Value): fc.Arbitrary<string | number | boolean> => {
  switch (value.type) {
    case 'text': return anyString(value.filled === true, Math.min(value.maxLength ?? 12, 12))
    case 'token': return fc.constantFrom('en', 'zh-CN', '__proto__')
    case 'integer': return fc.integer({ min: value.min ?? 0, max: value.max ?? 1_000_000 })
    case 'boolean': return fc.boolean()
    case 'time': return fc.date({ min: new Date(0), max: new Date('2099-01-01'), noInvalidDate: true }).map((date) => date.toISOString())
    case 'uuid': return fc.uuid()
    case 'word': return fc.constantFrom(...value.words)
  }
}

const fieldsOfAttributes = (attributes: Attributes = {}): Record<string, fc.Arbitrary<unknown>> =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, value.optional === true ? fc.option(anyValue(value), { nil: undefined }) : anyValue(value)]))

const fieldsOfChildren = (children: Children): Record<string, fc.Arbitrary<unknown>> => Object.fromEntries(Object.entries(children).map(([name, shape]) => {
  const one = anyOf(shape)
  return [propertyOf(name), shape.occurs === '+' ? fc.array(one, { minLength: 1, maxLength: 2 }) : shape.occurs === '?' ? fc.option(one, { nil: undefined }) : one]
}))

const defined = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const withoutOthers = (exclusive: readonly (readonly string[])[], fields: Record<string, unknown>): Record<string, unknown> => {
  const [, ...others] = exclusive
  const dropped = new Set(others.flat().map(propertyOf))
  return exclusive.length === 0 ? fields : Object.fromEntries(Object.entries(fields).filter(([name]) => !dropped.has(name)))
}

export const anyOf = (shape: Shape): fc.Arbitrary<unknown> => {
  switch (shape.kind) {
    case 'flag': return fc.constant(true)
    case 'text': return shape.attributes === undefined ? anyValue(shape.value) : fc.record({ ...fieldsOfAttributes(shape.attributes), text: anyValue(shape.value) }).map(defined)
    case 'message': return fc.oneof(
      fc.record({ code: fc.integer({ min: 0, max: 9999 }) }),
      fc.record({ code: fc.integer({ min: 0, max: 9999 }), placeholders: fc.dictionary(fc.constantFrom('Found', 'Remedy', 'Device'), anyString(false), { minKeys: 1, noNullPrototype: true }) }),
      fc.record({ description: anyString(false), fixHint: anyString(false) }))
    case 'free': return fc.constant({ kind: 'free' })
    case 'list': {
      const { unique } = shape
      return fc.uniqueArray(anyOf(shape.of), { minLength: shape.occurs === '?' || shape.atLeast === 1 ? 1 : 0, maxLength: 3, selector: (item) => (unique === undefined ? Symbol('each') : (item as Readonly<Record<string, unknown>>)[unique]) })
    }
    case 'record': return fc.record({ ...fieldsOfAttributes(shape.attributes), ...fieldsOfChildren(shape.children) }).map((fields) => withoutOthers(shape.exclusive ?? [], defined(fields)))
    case 'choice': return fc.oneof(...shape.choices.map((choice) => fc.record({ ...fieldsOfAttributes(shape.attributes), ...fieldsOfAttributes(choice.attributes), ...fieldsOfChildren(choice.children) }).map(defined)))
  }
}
