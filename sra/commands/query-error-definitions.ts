/** queryErrorDefinitions: every error and warning of the adapter, with placeholders. */
import { errorTable } from '../../core/errors.ts'
import { en } from '../strings/en.ts'
import { definedErrors, stringIds, warningTable, type WarningName, type Words } from '../strings/language.ts'
import type { Run } from './index.ts'

const definition = (code: number, [description, fixHint]: Words) => ({
  code,
  description: { text: description, stringId: stringIds.description(code) },
  fixHint: { text: fixHint, stringId: stringIds.fixHint(code) },
})

export const run: Run<'queryErrorDefinitions'> = async () => ({
  errorDefinitions: definedErrors.map((kind) => definition(errorTable[kind].code, en.errors[kind])),
  warningDefinitions: (Object.keys(warningTable) as WarningName[]).map((name) => definition(warningTable[name].code, en.warnings[name])),
})
