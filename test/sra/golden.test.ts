/** The interface's own examples (golden/README.md tells what was repaired): each is valid, and is the same after it was read and written. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDocument } from '../../sra/read.ts'
import { readRequest, writeRequest } from '../../sra/request.ts'
import { readResponse } from '../../sra/response.ts'
import { commandNames, isCommand, requestShape, responseShape, type CommandName } from '../../sra/schema/index.ts'
import { readTree, sraNamespace, type XmlElement } from '../../sra/tree.ts'
import { isSound, validate } from '../../sra/validate.ts'
import { writeDocument } from '../../sra/write.ts'

const directory = join(import.meta.dirname, 'golden')
const files = readdirSync(directory).filter((name) => name.endsWith('.xml'))
const textOf = (file: string): string => readFileSync(join(directory, file), 'utf8')
/** Errors and warnings belong to any command. */
const commandOf = (file: string): CommandName => {
  const name = /^[A-Za-z]+/.exec(file)?.[0] ?? ''
  return isCommand(name) ? name : 'discoverArrays'
}

/** Elements, attributes and texts in their order; the namespace of a placeholder is each adapter's own. */
const infoset = ({ name, namespace, attributes, children, text }: XmlElement): unknown => [name, namespace === sraNamespace, new Map(attributes), children.length === 0 ? text : children.map(infoset)]

it('there is a request and a response of every command', () => {
  const missing = commandNames.flatMap((command) => ['request', 'response'].filter((kind) => !files.some((file) => commandOf(file) === command && file.startsWith(command) && file.endsWith(`.${kind}.xml`))).map((kind) => `${command} ${kind}`))
  expect(missing).toEqual([])
})

describe.each(files.filter((file) => file.endsWith('.request.xml')))('%s', (file) => {
  it('is valid and the same after reading and writing', async () => {
    expect(await validate(textOf(file))).toEqual({ document: 'request', command: commandOf(file), findings: [] })
    const { request } = await readRequest(textOf(file))
    if (request === undefined) throw new Error('it was refused')
    expect(infoset(await readTree(writeRequest(request)))).toEqual(infoset(await readTree(textOf(file))))
  })
})

describe.each(files.filter((file) => file.endsWith('.response.xml')))('%s', (file) => {
  it('is valid and the same after reading and writing', async () => {
    expect((await validate(textOf(file), commandOf(file))).findings).toEqual([])
    const value = await readResponse(commandOf(file), textOf(file))
    expect(infoset(await readTree(writeDocument('Response', responseShape(commandOf(file)), value)))).toEqual(infoset(await readTree(textOf(file))))
  })
})

/** Ways to every element, but not into what only the adapter understands. */
const ways = (element: XmlElement, way: readonly number[] = []): readonly (readonly number[])[] =>
  element.children.flatMap((child, at) => (child.namespace === sraNamespace ? [[...way, at], ...ways(child, [...way, at])] : []))
const without = (element: XmlElement, [at = 0, ...more]: readonly number[], change: (child: XmlElement) => readonly XmlElement[]): XmlElement =>
  ({ ...element, children: element.children.flatMap((child, index) => (index !== at ? [child] : more.length === 0 ? change(child) : [without(child, more, change)])) })

describe('an example', () => {
  it.each(files)('%s is not valid with an element of another name', async (file) => {
    const root = await readTree(textOf(file))
    const shape = file.endsWith('.request.xml') ? requestShape(commandOf(file)) : responseShape(commandOf(file))
    for (const way of ways(root)) {
      const { problems } = readDocument(without(root, way, (child) => [{ ...child, name: `${child.name}s` }]), shape)
      expect(problems.length, way.join('/')).toBeGreaterThan(0)
    }
  })

  it.each(files)('%s is not valid without an attribute that names an item', async (file) => {
    const root = await readTree(textOf(file))
    const shape = file.endsWith('.request.xml') ? requestShape(commandOf(file)) : responseShape(commandOf(file))
    for (const way of ways(root)) {
      let taken = false
      const changed = without(root, way, (child) => {
        taken = ['key', 'id', 'name'].some((name) => child.attributes.has(name))
        return [{ ...child, attributes: new Map([...child.attributes].filter(([name]) => !['key', 'id', 'name'].includes(name))) }]
      })
      if (taken) expect(readDocument(changed, shape).problems.length, way.join('/')).toBeGreaterThan(0)
    }
  })
})

it('a sound verdict has no finding that is wrong', async () => {
  expect(isSound(await validate(textOf('queryInfo.request.xml')))).toBe(true)
})
