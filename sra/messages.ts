/** Failures and warnings as the messages of a response. Each has a predefined code (strings/language.ts), as the interface asks. */
import { reportError, type StorageError } from '../core/errors.ts'
import type { Message } from './schema/shape.ts'
import { codeOf, warningTable, type WarningName, type WarningPlaceholder } from './strings/language.ts'

const maxLength = 1000
const shorten = (text: string): string => (text.length > maxLength ? `${text.slice(0, maxLength - 3)}...` : text)

/** What was found and what to do stand in English in the placeholders; the user's language is in the definition of the code. */
export const errorMessage = (error: StorageError): Message => {
  const { kind, message, remedy = '' } = reportError(error)
  return { code: codeOf(kind), placeholders: { Found: shorten(message), Remedy: shorten(remedy) } }
}

/** A warning of the table, with a text for each of its placeholders. */
export const warningMessage = <W extends WarningName>(name: W, placeholders: Readonly<Record<WarningPlaceholder<W>, string>>): Message => ({
  code: warningTable[name].code,
  placeholders: Object.fromEntries(Object.entries<string>(placeholders).map(([key, text]) => [key, shorten(text)])),
})

/** Predefined by SRM itself: they need no definition of ours. */
export const unknownCommand = (command: string): Message => ({ code: 100, placeholders: { Command: shorten(command) } })
export const unknownLocale = (locale: string): Message => ({ code: 101, placeholders: { Locale: shorten(locale) } })
/** A warning. */
export const replicationInProgress = (device: string): Message => ({ code: 500, placeholders: { Device: device } })
