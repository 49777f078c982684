import { describe, expect, it } from 'vitest'
import { errorTable, StorageError, type ErrorKind } from '../../core/errors.ts'
import { errorMessage } from '../../sra/messages.ts'
import { languageOf, locales } from '../../sra/strings/index.ts'
import { definedErrors, errorPlaceholders, stringsOf, warningTable, type Language, type WarningName } from '../../sra/strings/language.ts'

const load = async (tag: string): Promise<Language> => {
  const language = await languageOf(tag)
  if (language === undefined) throw new Error(`no language ${tag}`)
  return language
}
const placeholdersOf = (texts: readonly string[]): readonly string[] => [...new Set(texts.flatMap((text) => [...text.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] ?? '')))].sort()

describe.each(locales)('in the language %s', (tag) => {
  it('every string of English is there, and no other', async () => {
    expect(stringsOf(await load(tag)).map(({ id }) => id)).toEqual(stringsOf(await load('en')).map(({ id }) => id))
  })

  it('every definition has the placeholders of its code and no other', async () => {
    const { errors, warnings } = await load(tag)
    for (const kind of definedErrors) expect([kind, placeholdersOf(errors[kind])]).toEqual([kind, [...errorPlaceholders].sort()])
    for (const name of Object.keys(warningTable) as WarningName[]) expect([name, placeholdersOf(warnings[name])]).toEqual([name, [...warningTable[name].placeholders].sort()])
  })

  it('nothing is empty, unbalanced or longer than SRM takes', async () => {
    for (const { id, text } of stringsOf(await load(tag))) {
      expect(text.trim(), id).not.toBe('')
      expect(text.replace(/\{[A-Z][A-Za-z]*\}/g, ''), id).not.toMatch(/[{}]/)
      if (id.endsWith('Title')) expect(text.length, id).toBeLessThanOrEqual(64)
      if (id.endsWith('Hint')) expect(text.length, id).toBeLessThanOrEqual(256)
    }
  })

})

describe.each(locales.filter((tag) => tag !== 'en'))('the language %s', (tag) => {
  it('is a translation: no sentence is the English one', async () => {
    const english = new Map(stringsOf(await load('en')).map(({ id, text }) => [id, text]))
    // The name of the maker, and a definition that is nothing but its placeholders.
    const same = ['VendorName', 'Description2008']
    // "Array" is a German word too.
    const german = ['ConnectionTitle', 'AddressTitle']
    const equal = stringsOf(await load(tag)).filter(({ id, text }) => english.get(id) === text && !same.includes(id) && !(tag === 'de' && german.includes(id)))
    expect(equal).toEqual([])
  })
})

describe('a language', () => {
  it.each([['zh_CN'], ['ZH-cn'], ['De'], ['FR']])('is found as %s', async (tag) => {
    expect(await languageOf(tag)).toBeDefined()
  })

  it.each([['__proto__'], ['constructor'], ['it'], ['']])('is not found as %j', async (tag) => {
    expect(await languageOf(tag)).toBeUndefined()
  })
})

describe('codes', () => {
  it('are unique over errors and warnings, and above those of SRM', () => {
    const codes = [...definedErrors.map((kind) => errorTable[kind].code), ...Object.values(warningTable).map(({ code }) => code)]
    expect(new Set(codes).size).toBe(codes.length)
    expect(Math.min(...codes)).toBeGreaterThanOrEqual(1000)
  })

  it('of every failure have a definition, and every placeholder is sent', () => {
    const defined = new Set(definedErrors.map((kind) => errorTable[kind].code as number))
    for (const kind of Object.keys(errorTable) as ErrorKind[]) {
      const message = errorMessage(new StorageError(kind, 'x'))
      expect('code' in message && defined.has(message.code), kind).toBe(true)
      expect(message).toMatchObject({ placeholders: { Found: 'x', Remedy: '' } })
    }
  })
})
