/** XML out: elements as values, every text escaped in one place. */

/** Characters that XML 1.0 cannot carry in any form (section 2.2, Char): shown as U+FFFD instead of a document nobody can parse. */
const illegal = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' }

export const escapeXml = (text: string): string => text.replace(illegal, '\ufffd').replace(/[&<>"\r]/g, (character) => entities[character] ?? character)

export interface Element {
  readonly name: string
  readonly content: string | readonly Element[]
}

const namePattern = /^[A-Za-z_][\w.-]*$/

export const element = (name: string, content: string | number | boolean | readonly Element[]): Element => {
  if (!namePattern.test(name)) throw new Error(`${JSON.stringify(name)} cannot be the name of an XML element`)
  if (typeof content === 'boolean') return { name, content: content ? 'True' : 'False' }
  return { name, content: typeof content === 'number' ? String(content) : content }
}

const render = ({ name, content }: Element, indent: string): string => {
  if (typeof content === 'string') return `${indent}<${name}>${escapeXml(content)}</${name}>\n`
  return content.length === 0 ? `${indent}<${name}/>\n` : `${indent}<${name}>\n${content.map((child) => render(child, `${indent}  `)).join('')}${indent}</${name}>\n`
}

/** Head as in the examples of the SM API; texts stand on the line of their element, so that no reader gets spaces into a name. */
export const xmlDocument = (root: Element): string => `<?xml version="1.0" ?>\n${render(root, '')}`
