/** queryStrings: every string in one language. */
import { unknownLocale } from '../messages.ts'
import { languageOf } from '../strings/index.ts'
import { stringsOf } from '../strings/language.ts'
import type { Run } from './index.ts'

export const run: Run<'queryStrings'> = async ({ parameters: { locale } }) => {
  const language = await languageOf(locale)
  return language === undefined ? { error: unknownLocale(locale) } : { strings: { locale, string: stringsOf(language) } }
}
