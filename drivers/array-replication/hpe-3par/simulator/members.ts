/** Checks the members of a request the way an array does: each way to be wrong has its number, and `ref` names the member. */
import * as z from 'zod'
import { isRefusalName, refuse, type RefusalName } from './refusals.ts'

/** Texts of the checks below that are names of refusals take the place of the usual number. */
const special = (name: RefusalName): { readonly error: RefusalName } => ({ error: name })

/** Names: letters, digits, dot, dash and underscore (facts 5). */
export const nameOf = (max: number) => z.string().min(1).max(max).regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/)
export const text = (max: number) => z.string().max(max)
export const flag = z.boolean()
export const count = (min = 0, max = 0x7fffffff) => z.int().min(min).max(max)
/** The largest volume of a 3PAR, in MiB; a volume has at least 256. */
export const sizeMiB = z.int().min(256).max(16_777_216, special('tooLarge'))
export const hours = count(1, 43_800)
export const percent = count(0, 100)
export const choice = (...values: readonly number[]) => z.int().refine((value) => values.includes(value), special('badChoice'))
export const members = z.strictObject

type Issue = z.core.$ZodIssue

const at = (body: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? (value as Readonly<Record<PropertyKey, unknown>>)[key] : undefined), body)

const nameOfIssue = (issue: Issue, body: unknown): RefusalName => {
  if (isRefusalName(issue.message)) return issue.message
  switch (issue.code) {
    case 'unrecognized_keys': return 'unknownMember'
    case 'too_big': return issue.origin === 'string' ? 'tooLong' : 'exceedsRange'
    case 'too_small': return issue.origin === 'string' || issue.origin === 'array' ? 'emptyText' : 'belowRange'
    case 'invalid_format': return 'badCharacter'
    case 'invalid_value': return at(body, issue.path) === undefined ? 'memberMissing' : 'badChoice'
    case 'invalid_type': return at(body, issue.path) === undefined ? 'memberMissing' : 'wrongType'
    case 'not_multiple_of': case 'invalid_union': case 'invalid_key': case 'invalid_element': case 'custom': return 'wrongType'
  }
}

/** A `null` counts as absent, wherever it stands (facts 1). */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null).map(([key, member]) => [key, withoutNulls(member)]))
}

/** The body as `schema` describes it; throws the refusal of the first thing that is wrong. */
export const read = <S extends z.ZodType>(schema: S, sent: unknown): z.output<S> => {
  const body = withoutNulls(sent ?? {})
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const issue = result.error.issues.find(({ code }) => code === 'unrecognized_keys') ?? result.error.issues[0]
  if (issue === undefined) throw refuse('internal')
  const ref = issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.path.filter((part) => typeof part === 'string').join('.')
  throw refuse(nameOfIssue(issue, body), ref)
}

/** Throws when more than one of the members is there. */
export const needOneOf = (body: object, ...names: readonly string[]): void => {
  const given = names.filter((name) => (body as Readonly<Record<string, unknown>>)[name] !== undefined && (body as Readonly<Record<string, unknown>>)[name] !== false)
  if (given.length > 1) throw refuse('exclusive', given.join(','))
}
