/** Whatever comes in: a request, a refusal that can be answered, or the one error; secrets in none of them. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import { readRequest } from '../../../sra/request.ts'
import { readResponse, writeResponse } from '../../../sra/response.ts'
import { commandNames, isCommand, requestShape, responseShape } from '../../../sra/schema/index.ts'
import type { Shape } from '../../../sra/schema/shape.ts'
import { sraNamespace } from '../../../sra/tree.ts'
import { validate } from '../../../sra/validate.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const goldens = readdirSync(join(root, 'test/sra/golden')).filter((name) => name.endsWith('.xml')).map((name) => readFileSync(join(root, 'test/sra/golden', name), 'utf8'))

/** The answer, or the only error there may be. */
const outcome = async (work: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StorageError && error.kind === 'invalidArgument') return error
    throw error
  }
}

const readAll = async (xml: string): Promise<void> => {
  await outcome(async () => readRequest(xml))
  await outcome(async () => validate(xml))
  await outcome(async () => readResponse('failover', xml))
  await outcome(async () => readResponse('discoverDevices', xml))
}

const namesIn = (shape: Shape): readonly string[] => {
  switch (shape.kind) {
    case 'record': return Object.entries(shape.children).flatMap(([name, child]) => [name, ...namesIn(child)])
    case 'choice': return shape.choices.flatMap(({ children }) => Object.entries(children).flatMap(([name, child]) => [name, ...namesIn(child)]))
    case 'list': return [shape.item, ...namesIn(shape.of)]
    case 'text': case 'flag': case 'message': case 'free': return []
  }
}
const names = [...new Set([...commandNames.flatMap((command) => [...namesIn(requestShape(command)), ...namesIn(responseShape(command))]), 'Later', 'constructor', '__proto__', 'toString'])]

const escape = (text: string): string => text.replace(/[&<>"\u0000-\u001f\ufffe\uffff]|[\ud800-\udfff]/g, (character) => (character < ' ' || character > '~' ? '?' : `&#${character.charCodeAt(0)};`))
const treeOf = (depth: number): fc.Arbitrary<string> => fc.record({
  name: fc.constantFrom(...names),
  attributes: fc.dictionary(fc.constantFrom('id', 'key', 'state', 'code', 'status', 'name', 'type', '__proto__', 'syncId'), fc.oneof(fc.string(), fc.constantFrom('1', 'read-write', '__proto__')), { maxKeys: 3 }),
  text: fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom(...commandNames)),
  children: depth === 0 ? fc.constant<readonly string[]>([]) : fc.array(treeOf(depth - 1), { maxLength: 3 }),
}).map(({ name, attributes, text, children }) => `<${name}${Object.entries(attributes).map(([key, value]) => ` ${key}="${escape(value)}"`).join('')}>${escape(text)}${children.join('')}</${name}>`)

describe('documents of any content', () => {
  it('built of elements of the tables in any order are read, refused or not of the interface', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom('Command', 'Response', 'Other'), fc.array(treeOf(3), { maxLength: 4 }), async (name, children) =>
      readAll(`<${name} xmlns="${sraNamespace}"><OutputFile>o</OutputFile>${children.join('')}</${name}>`)), { numRuns: 200 })
  })

  it('that were examples until something was cut out, doubled or overwritten fare no worse', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...goldens), fc.nat(), fc.nat(200), fc.oneof(fc.constant(''), fc.constantFrom('<', '>', '&', '"', ']]>', '<![CDATA[', '<!--', '<?x', '\u0000', '\ufffe', '&#0;', '&#xd800;', 'xmlns=""')), async (xml, from, length, instead) => {
      const at = from % xml.length
      await readAll(`${xml.slice(0, at)}${instead}${xml.slice(at + length)}`)
      await readAll(`${xml.slice(0, at + length)}${instead}${xml.slice(at)}`)
    }), { numRuns: 200 })
  })

  it('that are any text are not of the interface', async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (xml) => {
      expect(await outcome(async () => readRequest(xml))).toBeInstanceOf(StorageError)
    }), { numRuns: 100 })
  })
})

const command = (inner: string, name = 'discoverArrays', head = ''): string =>
  `${head}<Command xmlns="${sraNamespace}"><Name>${name}</Name><OutputFile>o</OutputFile><Connections><Connection id="array"><Addresses><Address id="address">a</Address></Addresses><Username>root</Username><Password>hunter2</Password><Opaques><Opaque id="settings">token=hunter2</Opaque></Opaques></Connection></Connections>${inner}</Command>`

describe('what could mean more than it says is refused, and no secret is repeated', () => {
  it.each([
    ['a document type', command('', undefined, '<!DOCTYPE Command>')],
    ['one with a system identifier', command('', undefined, '<!DOCTYPE Command SYSTEM "file:///etc/passwd">')],
    ['one with a public identifier', command('', undefined, '<!DOCTYPE Command PUBLIC "-//x//y" "http://192.0.2.1/x.dtd">')],
    ['entities of its own', command('<Later>&hunter2;</Later>', undefined, '<!DOCTYPE Command [<!ENTITY hunter2 SYSTEM "file:///etc/passwd">]>')],
    ['entities of entities', command('<Later>&c;</Later>', undefined, '<!DOCTYPE Command [<!ENTITY a "hunter2"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]>')],
    ['parameter entities', command('', undefined, '<!DOCTYPE Command [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>')],
    ['an entity nobody declared', command('<Later>&hunter2;</Later>')],
    ['a character that XML has not', command('<Later>&#1;</Later>')],
    ['a null', command('<Later>\u0000</Later>')],
    ['an attribute twice', command('<Later a="hunter2" a="hunter2"/>')],
    ['a prefix nobody declared', command('<x:Later/>')],
    ['another namespace', command('').replace('/sra/v2', '/sra/v1')],
    ['no namespace', command('').replace(/ xmlns="[^"]*"/, '')],
    ['two documents', `${command('')}${command('')}`],
    ['text behind its end', `${command('')}hunter2`],
    ['an end that does not come', command('').slice(0, -10)],
    ['elements in each other', command(`${'<a>'.repeat(40)}hunter2${'</a>'.repeat(40)}`)],
  ])('%s', async (_, xml) => {
    const error = await outcome(async () => readRequest(xml))
    expect(error).toBeInstanceOf(StorageError)
    expect(JSON.stringify([String(error), (error as StorageError).facts])).not.toMatch(/hunter2|passwd/)
  })

  it.each([
    ['a password twice', command('').replace('<Password>', '<Password>hunter2</Password><Password>')],
    ['no address', command('').replace(/<Addresses>.*<\/Addresses>/, '')],
    ['a parameter twice', command('').replace('</Opaques>', '<Opaque id="settings">hunter2</Opaque></Opaques>')],
    ['a password with an element in it', command('').replace('hunter2<', 'hunter2<Later>hunter2</Later><').replace(/<Connection id="array">/, '<Connection>')],
    ['a second connection of that id', command('').replace('</Connections>', '<Connection id="array"><Addresses><Address id="address">a</Address></Addresses><Password>hunter2</Password></Connection></Connections>')],
  ])('%s', async (_, xml) => {
    const { refusal, problems } = await readRequest(xml)
    expect(refusal).toMatchObject({ code: 1001 })
    expect(JSON.stringify([refusal, problems, await validate(xml)])).not.toMatch(/hunter2/)
  })
})

describe('names', () => {
  const keys = ['__proto__', 'constructor', ' leading and trailing ', 'a:b:c', '"quoted" \'twice\'', '$(reboot)', '`id`', '../../etc/passwd', 'ключ', '鍵', '😀', '<&>', 'a\tb\nc', 'k'.repeat(4096)]

  it('of any kind come back as they came', async () => {
    const xml = writeResponse('testFailoverStop', { testFailoverStopResults: { targetDevices: keys.map((key) => ({ key, success: true as const })) } })
    const devices = /<TargetDevices>[^]*<\/TargetDevices>/.exec(xml)?.[0].replaceAll('<Success/>', '') ?? ''
    const { request } = await readRequest(command(`<TestFailoverStopParameters><ArrayId>__proto__</ArrayId>${devices}</TestFailoverStopParameters>`, 'testFailoverStop'))
    expect(request?.parameters).toEqual({ arrayId: '__proto__', targetDevices: keys.map((key) => ({ key })) })
    expect(({} as Record<string, unknown>)['key']).toBeUndefined()
  })

  it('that JavaScript gives a meaning to are no commands', () => {
    expect(['__proto__', 'constructor', 'toString', 'hasOwnProperty'].filter(isCommand)).toEqual([])
  })
})

it('the largest documents, and larger ones, end in a small heap', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=400', '--import', 'tsx', join(import.meta.dirname, 'junk.ts')], { encoding: 'utf8', cwd: root })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const outcomes = new Map(stdout.trim().split('\n').map((line) => line.split('\t', 2) as [string, string]))
  const refused = (why: string): unknown => expect.stringContaining(`refused: invalidArgument: the document ${why}`)
  expect(Object.fromEntries(outcomes)).toEqual({
    'no XML': refused('is not well-formed'), 'nested elements': refused('is nested deeper'), 'elements side by side': refused('has more than 500000 elements'),
    'one attribute': expect.stringContaining('"request"'), 'many attributes': refused('has an element of more than 64 attributes'),
    comments: expect.stringContaining('"request"'), references: expect.stringContaining('"request"'), 'an unknown command': expect.stringContaining('"refusal":{"code":100'),
    blanks: refused('is empty'), 'a document type': refused('holds a document type'), keys: expect.stringContaining('a second TargetDevice'), '64 MiB': refused('is larger'),
  })
  expect(stdout).not.toContain('secretsecret')
}, 300_000)
