import { XMLParser, XMLValidator } from 'fast-xml-parser'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { element, escapeXml, xmlDocument } from '../../../cli/xe/xml.ts'

describe('XML out', () => {
  it('is well-formed and says what it was told, for any text', () => {
    const parser = new XMLParser({ trimValues: false, parseTagValue: false })
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const xml = xmlDocument(element('sr', [element('label', text)]))
      expect(XMLValidator.validate(xml)).toBe(true)
      const legal = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
      // The parser of this test leaves numeric references alone.
      expect((parser.parse(xml) as { readonly sr: { readonly label: string } }).sr.label).toBe(legal.replaceAll('\r', '&#13;'))
    }))
  })

  it('escapes what would end a text or an attribute', () => {
    expect(escapeXml('<a b="c">&</a>\r')).toBe('&lt;a b=&quot;c&quot;&gt;&amp;&lt;/a&gt;&#13;')
  })

  it('refuses names that are none', () => {
    for (const name of ['', 'a b', '1a', 'a>b', '<']) expect(() => element(name, '')).toThrow('name of an XML element')
  })
})
