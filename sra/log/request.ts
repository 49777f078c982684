/** The request in the log, indented, without what must not be seen: by its parsed elements, so no way of writing XML gets around it. */
import { parameterIds } from '../connection-parameters.ts'
import type { XmlElement } from '../tree.ts'

const hidden: ReadonlySet<string> = new Set(['password', 'username'])

/** Values of opaque parameters may be anything; the filter is ours and has to be told. */
const isSecret = ({ name, attributes }: XmlElement): boolean =>
  hidden.has(name.toLowerCase()) || (name === 'Opaque' && attributes.get('id') !== parameterIds.filter)

const mask = '***'
const escape = (text: string): string => text.replace(/[&<>"\p{Cc}\p{Cf}\u2028\u2029]/gu, (one) => `&#${one.codePointAt(0) ?? 0};`)

const linesOf = (element: XmlElement, depth: number): readonly string[] => {
  const pad = '  '.repeat(depth)
  const attributes = [...element.attributes].map(([name, value]) => ` ${name}="${hidden.has(name.toLowerCase()) ? mask : escape(value)}"`).join('')
  if (isSecret(element)) return [`${pad}<${element.name}${attributes}>${mask}</${element.name}>`]
  if (element.children.length > 0) return [`${pad}<${element.name}${attributes}>`, ...element.children.flatMap((child) => linesOf(child, depth + 1)), `${pad}</${element.name}>`]
  return [element.text === '' ? `${pad}<${element.name}${attributes}/>` : `${pad}<${element.name}${attributes}>${escape(element.text)}</${element.name}>`]
}

export const redacted = (root: XmlElement): string => linesOf(root, 1).join('\n')
