/**
 * What a document of the Storage Replication Adapter interface 2.0 may hold, as data. Reader, writer, validator, docs and the
 * types of TypeScript all follow from values of these few forms; the order of `children` is the order in the document.
 *
 * In a typed value an element is a property of its own name with a small first letter (`ArrayId` -> `arrayId`), a list is an
 * array of its items, an empty element is `true`, and a text with attributes is `{ text, ...attributes }`.
 */
import type { XmlElement } from '../tree.ts'

/** A text or an attribute. `text` stays byte for byte (ids and keys may begin or end with a blank); all others are trimmed. */
export type Value =
  | { readonly type: 'text'; readonly filled?: true; readonly maxLength?: number; readonly secret?: true }
  | { readonly type: 'token' }
  | { readonly type: 'integer'; readonly min?: number; readonly max?: number }
  | { readonly type: 'boolean' }
  /** xs:dateTime, as it is written. */
  | { readonly type: 'time' }
  | { readonly type: 'uuid' }
  /** `otherwise` is what a reader takes any other word for. */
  | { readonly type: 'word'; readonly words: readonly string[]; readonly otherwise?: string }

export type ValueOf<V> =
  V extends { readonly type: 'word'; readonly words: readonly (infer W)[] } ? W
  : V extends { readonly type: 'integer' } ? number
  : V extends { readonly type: 'boolean' } ? boolean
  : string

export type Attributes = Readonly<Record<string, Value & { readonly optional?: true }>>

interface Common {
  /** Absent: exactly once. */
  readonly occurs?: '?' | '+'
  /** What the element says, for docs and for whoever reads a problem. */
  readonly says?: string
}
export interface TextShape extends Common { readonly kind: 'text'; readonly value: Value; readonly attributes?: Attributes }
/** Present or not, nothing inside. */
export interface FlagShape extends Common { readonly kind: 'flag' }
export interface RecordShape extends Common {
  readonly kind: 'record'
  readonly attributes?: Attributes
  readonly children: Children
  /** Sets of children of which only one may be there. */
  readonly exclusive?: readonly (readonly string[])[]
  readonly anyOrder?: true
}
/** Exactly one of the choices, which are told apart by their first required child. */
export interface ChoiceShape extends Common { readonly kind: 'choice'; readonly attributes?: Attributes; readonly choices: readonly Choice[] }
export interface Choice { readonly attributes?: Attributes; readonly children: Children }
export interface ListShape extends Common {
  readonly kind: 'list'
  readonly item: string
  readonly of: Shape
  readonly atLeast: 0 | 1
  /** The attribute that no two items share. */
  readonly unique?: string
}
/** An `Error` or a `Warning`. */
export interface MessageShape extends Common { readonly kind: 'message' }
/** Content that only the adapter understands. */
export interface FreeShape extends Common { readonly kind: 'free' }

export type Shape = TextShape | FlagShape | RecordShape | ChoiceShape | ListShape | MessageShape | FreeShape
export type Children = Readonly<Record<string, Shape>>

/** Predefined: its number and a text for each placeholder of its definition. Else its own words, in English. */
export type Message =
  | { readonly code: number; readonly placeholders?: Readonly<Record<string, string>> | undefined }
  | { readonly description: string; readonly fixHint: string }

const properties = new Map<string, string>()

/** The property an element becomes. Remembered: it is asked for every element of a document, and tables have few names. */
export const propertyOf = (element: string): string => {
  const known = properties.get(element)
  if (known !== undefined) return known
  const property = element.slice(0, 1).toLowerCase() + element.slice(1)
  properties.set(element, property)
  return property
}

type Optional<A> = { readonly [N in keyof A as A[N] extends { readonly optional: true } ? N : never]?: ValueOf<A[N]> | undefined }
type Required<A> = { readonly [N in keyof A as A[N] extends { readonly optional: true } ? never : N]: ValueOf<A[N]> }
type AttributesOf<S> = S extends { readonly attributes: infer A } ? Required<A> & Optional<A> : unknown

type Property<N> = N extends string ? Uncapitalize<N> : never
type Occurring<S> = S extends { readonly occurs: '+' } ? readonly TypeOf<S>[] : TypeOf<S>
type ChildrenOf<C> =
  & { readonly [N in keyof C as C[N] extends { readonly occurs: '?' } ? never : Property<N>]: Occurring<C[N]> }
  & { readonly [N in keyof C as C[N] extends { readonly occurs: '?' } ? Property<N> : never]?: TypeOf<C[N]> | undefined }

type ChoicesOf<K> = K extends readonly (infer One)[] ? (One extends { readonly children: infer C } ? AttributesOf<One> & ChildrenOf<C> : never) : never

/** One readable type instead of a chain of intersections, in editors and in messages of the compiler. */
type Flat<T> = T extends object ? { readonly [K in keyof T]: T[K] } : T

/** The typed value of an element of that shape. */
export type TypeOf<S> =
  S extends { readonly kind: 'flag' } ? true
  : S extends { readonly kind: 'message' } ? Message
  : S extends { readonly kind: 'free' } ? XmlElement
  : S extends { readonly kind: 'list'; readonly of: infer I } ? readonly TypeOf<I>[]
  : S extends { readonly kind: 'text'; readonly value: infer V; readonly attributes: infer A } ? Flat<{ readonly text: ValueOf<V> } & AttributesOf<{ readonly attributes: A }>>
  : S extends { readonly kind: 'text'; readonly value: infer V } ? ValueOf<V>
  : S extends { readonly kind: 'record'; readonly children: infer C } ? Flat<AttributesOf<S> & ChildrenOf<C>>
  : S extends { readonly kind: 'choice'; readonly choices: infer K } ? Flat<AttributesOf<S> & ChoicesOf<K>>
  : never

export const words = <const W extends readonly string[]>(...allowed: W): { readonly type: 'word'; readonly words: W } => ({ type: 'word', words: allowed })
export const anyText = { type: 'text' } as const
export const idText = { type: 'text', filled: true } as const
export const text = <const V extends Value>(value: V, says: string): { readonly kind: 'text'; readonly value: V; readonly says: string } => ({ kind: 'text', value, says })
export const textWith = <const V extends Value, const A extends Attributes>(value: V, attributes: A, says: string): { readonly kind: 'text'; readonly value: V; readonly attributes: A; readonly says: string } =>
  ({ kind: 'text', value, attributes, says })
export const flag = (says: string): { readonly kind: 'flag'; readonly says: string } => ({ kind: 'flag', says })
export const free = (says: string): { readonly kind: 'free'; readonly says: string } => ({ kind: 'free', says })
export const message = (says: string): { readonly kind: 'message'; readonly says: string } => ({ kind: 'message', says })
export const record = <const C extends Children, const A extends Attributes>(attributes: A, children: C, says: string): { readonly kind: 'record'; readonly attributes: A; readonly children: C; readonly says: string } =>
  ({ kind: 'record', attributes, children, says })
export const list = <const N extends string, const S extends Shape>(item: N, of: S, unique?: string): { readonly kind: 'list'; readonly item: N; readonly of: S; readonly atLeast: 1; readonly unique?: string } =>
  ({ kind: 'list', item, of, atLeast: 1, ...(unique === undefined ? {} : { unique }) })
export const optional = <const S extends Shape>(shape: S): S & { readonly occurs: '?' } => ({ ...shape, occurs: '?' })
export const many = <const S extends Shape>(shape: S): S & { readonly occurs: '+' } => ({ ...shape, occurs: '+' })
