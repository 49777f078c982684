import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDconf } from '../../../cli/xe/dconf.ts'
import { escapeXml } from '../../../cli/xe/xml.ts'
import { StorageError } from '../../../core/errors.ts'

const key = fc.stringMatching(/^[a-zA-Z_][\w]{0,20}$/).filter((name) => !(name in Object.prototype) && name !== '__proto__')
const value = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replace(/[\u0000-\u001f\u007f\ufffe\uffff]/g, '').trim())

describe('a dconf document', () => {
  it.each([
    ['the plain form', '<dconf><location>/srv/disks</location></dconf>', { location: '/srv/disks' }],
    ['layout around values', '<?xml version="1.0" ?>\n<dconf>\n\t<location>\n\t\t/srv/disks\n\t</location>\n</dconf>\n', { location: '/srv/disks' }],
    ['a root of any name', '<anything><target>iqn</target></anything>', { target: 'iqn' }],
    ['the five entities and numbers', '<d><a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;</a></d>', { a: '<>&"\'AB' }],
    ['CDATA', '<d><chappassword><![CDATA[a<b&c]]></chappassword></d>', { chappassword: 'a<b&c' }],
    ['comments', '<!-- one --><d><!-- two --><a>x<!-- three -->y</a></d>', { a: 'xy' }],
    ['empty elements', '<d><port/><chapuser></chapuser></d>', { port: '', chapuser: '' }],
    ['no parameters', '<d/>', {}],
    ['text that looks like a number', '<d><LUNid>007</LUNid><size>1e3</size></d>', { LUNid: '007', size: '1e3' }],
  ])('may have %s', async (_, xml, expected) => {
    expect(await readDconf(xml)).toEqual(expected)
  })

  it('gives back whatever was escaped into it', async () => {
    await fc.assert(fc.asyncProperty(fc.dictionary(key, value), async (config) => {
      const xml = `<dconf>${Object.entries(config).map(([name, text]) => `<${name}>${escapeXml(text)}</${name}>`).join('')}</dconf>`
      expect(await readDconf(xml)).toEqual({ ...config })
    }))
  })

  it('is read or refused with one clear error, never anything else, and no value is repeated', async () => {
    const piece = fc.constantFrom('<', '>', '/', '<a>', '</a>', '<b/>', '&', '&lt;', ';', '<!--', '-->', '<![CDATA[', ']]>', '<?x ?>', '<!DOCTYPE d>', ' c="d"', '"', '\n', 'SECRET')
    await fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const xml = `<d>${pieces.join('')}</d>`
      try {
        for (const text of Object.values(await readDconf(xml))) expect(typeof text).toBe('string')
      } catch (error) {
        expect(error).toBeInstanceOf(StorageError)
        expect((error as StorageError).kind).toBe('invalidArgument')
        expect((error as StorageError).message).not.toContain('SECRET')
      }
    }), { numRuns: 2000 })
  })
})
