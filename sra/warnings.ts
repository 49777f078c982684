/** What is worth telling of an item although it succeeded, by the table of warnings. */
import type { UnitView } from '../core/replication/index.ts'
import { nameOf, type Named } from './items.ts'
import { shown } from './log/log.ts'
import { warningMessage } from './messages.ts'
import type { Message } from './schema/shape.ts'

const itemOf = (asked: Named): string => shown(nameOf(asked))

export const noChange = (asked: Named, found: string): Message => warningMessage('noChange', { Item: itemOf(asked), Found: found })
export const notPresented = (asked: Named, found: string): Message => warningMessage('notPresented', { Item: itemOf(asked), Found: found })
export const settingsDiffer = (asked: Named, found: string): Message => warningMessage('settingsNotApplied', { Item: itemOf(asked), Found: found })
export const other = (found: string, remedy = ''): Message => warningMessage('other', { Found: found, Remedy: remedy })

/** The engine's sentences: why nothing was done, or what came up while it was. */
export const engineWarnings = (asked: Named, { changed, warnings }: { readonly changed: boolean; readonly warnings: readonly string[] }): readonly Message[] =>
  changed ? warnings.map((sentence) => other(sentence)) : [noChange(asked, warnings.join('. '))]

/** Of a unit that was not touched. */
export const stateWarnings = (asked: Named, { testing, warnings }: UnitView): readonly Message[] => [
  ...(testing ? [warningMessage('testRunning', { Item: itemOf(asked) })] : []),
  ...(warnings.length === 0 || (testing && warnings.length === 1) ? [] : [warningMessage('degraded', { Item: itemOf(asked), Found: warnings.join('. ') })]),
]

export const preparedLate = (asked: Named): Message => warningMessage('preparedLate', { Item: itemOf(asked) })
