import { expect, test } from 'vitest'
import type { StorageError } from '../../core/errors.ts'
import { readTree, sraNamespace } from '../../sra/tree.ts'

const command = (inner: string): string => `<Command xmlns="${sraNamespace}">${inner}</Command>`

test('ids keep blanks, quotes, colons and characters beyond ASCII', async () => {
  const root = await readTree(`\ufeff<?xml version="1.0"?>\r\n${command('<Device id=" a:&quot;b&#x65e5; "/><Name><![CDATA[x&y]]> </Name>')}`)
  expect(root.children.map((child) => [child.name, child.attributes.get('id'), child.text])).toEqual([['Device', ' a:"b日 ', ''], ['Name', undefined, 'x&y ']])
})

test('any prefix of the namespace is read and elements of other namespaces are told from its own', async () => {
  const root = await readTree(`<s:Command xmlns:s="${sraNamespace}" xmlns:o="urn:o"><s:Name>n</s:Name><o:Name>m</o:Name></s:Command>`)
  expect(root.children.map((child) => [child.name, child.namespace])).toEqual([['Name', sraNamespace], ['Name', 'urn:o']])
})

test.each([
  ['<!DOCTYPE a [<!ENTITY b "secret">]><a>&b;</a>', /declaration/],
  [command('<Name>&secret;</Name>'), /entities of its own/],
  ['<Command><Name>secret</Name></Command>', /namespace/],
  [command('<Name>secret'), /well-formed/],
  [command('<a>'.repeat(40) + '</a>'.repeat(40)), /nested/],
  ['', /is empty/],
])('refuses %s and repeats nothing of it', async (xml, why) => {
  const refusal = await readTree(xml).catch((error: unknown) => error)
  expect(refusal).toMatchObject({ kind: 'invalidArgument', message: expect.any(String) })
  expect([String(refusal), (refusal as StorageError).facts.remedy].join()).toMatch(why)
  expect(String(refusal)).not.toContain('secret')
})

test('names that JavaScript gives a meaning to never reach a prototype', async () => {
  await readTree(command('<Device __proto__="x" constructor="y"/><__proto__><polluted>1</polluted></__proto__>')).catch(() => undefined)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})
