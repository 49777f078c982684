/** docs/sra-documents.md: requests and responses of every SRA command, errors and warnings, from the tables that read and write them. */
import { errorTable } from '../core/errors.ts'
import { builtinArrays } from '../drivers/array-replication/arrays.ts'
import { adapterOf } from '../sra/adapter.ts'
import { capabilitiesOf } from '../sra/commands/query-capabilities.ts'
import { supportedCommands } from '../sra/commands/supported.ts'
import { parameterIds } from '../sra/connection-parameters.ts'
import { rules } from '../sra/rules.ts'
import { commandNames, commandRow, parametersElement } from '../sra/schema/index.ts'
import { warnings } from '../sra/schema/parts.ts'
import { envelope } from '../sra/schema/requests.ts'
import type { Attributes, Children, Shape, Value } from '../sra/schema/shape.ts'
import { en } from '../sra/strings/en.ts'
import { locales } from '../sra/strings/index.ts'
import { definedErrors, warningTable, type WarningName } from '../sra/strings/language.ts'
import { wanted } from '../sra/values.ts'

type Table = (head: readonly string[], rows: readonly (readonly string[])[]) => string

interface Line {
  readonly depth: number
  readonly text: string
  readonly says: string
}

const times = { '?': '?', '+': '+', once: '' } as const

const valueOf = (value: Value): string => (value.type === 'text' ? '' : `: ${wanted(value)}`)

const attributesOf = (attributes: Attributes = {}): string =>
  Object.entries(attributes).map(([name, value]) => ` @${name}${value.optional === true ? '?' : ''}${value.type === 'word' ? `=${value.words.join('|')}` : ''}`).join('')

const linesOf = (children: Children, depth: number): readonly Line[] => Object.entries(children).flatMap(([name, shape]) => linesOfShape(name, shape, depth))

const linesOfShape = (name: string, shape: Shape, depth: number): readonly Line[] => {
  const head = `${name}${times[shape.occurs ?? 'once']}`
  const says = shape.says ?? ''
  switch (shape.kind) {
    case 'text': return [{ depth, text: `${head}${attributesOf(shape.attributes)}${valueOf(shape.value)}`, says }]
    case 'flag': case 'message': case 'free': return [{ depth, text: head, says }]
    case 'list': {
      const [item, ...inside] = linesOfShape(shape.item, shape.of, depth + 1)
      const unique = shape.unique === undefined ? '' : ` (${shape.unique} is unique)`
      return [{ depth, text: head, says }, ...(item === undefined ? [] : [{ ...item, text: `${item.text.replace(shape.item, `${shape.item}${shape.atLeast === 0 ? '*' : '+'}`)}${unique}` }, ...inside])]
    }
    case 'record': return [{ depth, text: `${head}${attributesOf(shape.attributes)}`, says }, ...linesOf(shape.children, depth + 1)]
    case 'choice': return [{ depth, text: `${head}${attributesOf(shape.attributes)}`, says }, ...shape.choices.flatMap((choice, at) => [
      { depth: depth + 1, text: `${at === 0 ? 'either' : 'or'}${attributesOf(choice.attributes)}`, says: '' }, ...linesOf(choice.children, depth + 2),
    ])]
  }
}

const block = (lines: readonly Line[]): string => {
  const texts = lines.map(({ depth, text }) => `${'  '.repeat(depth)}${text}`)
  const width = Math.min(72, Math.max(...texts.map(({ length }) => length)))
  return `\`\`\`text\n${lines.map(({ says }, at) => `${(texts[at] ?? '').padEnd(says === '' ? 0 : width)}${says === '' ? '' : `  # ${says}`}`).join('\n')}\n\`\`\``
}

const command = (name: (typeof commandNames)[number]): readonly string[] => {
  const { says, chapter, connects, parameters, answer } = commandRow(name)
  const held = rules.filter(({ commands }) => commands.includes(name))
  return [
    `### ${name}`, `${says} Chapter "${chapter}". ${connects ? 'Talks to an array: its request has `Connections`.' : 'Needs no array.'}`,
    ...(parameters === undefined ? ['The request has no parameters.'] : ['Parameters of the request:', block(linesOfShape(parametersElement(name), parameters, 0))]),
    'Answer:', block(linesOf(answer, 0)),
    ...(held.length === 0 ? [] : [`Besides, \`smctl sra validate\` wants:`, held.map(({ wanted: wants, chapter: where }) => `- ${wants} (${where})`).join('\n')]),
  ]
}

const adapters = (await Promise.all(Object.values(builtinArrays).map(async (load) => load()))).filter(({ replication }) => replication !== undefined).map((driver) => adapterOf(driver, ''))

const places = ['syncOnce', 'reverseReplication', 'restoreReplication'] as const

/** What queryCapabilities answers, a column for each type of array. */
const capabilities = (table: Table): string => {
  const told = adapters.map((adapter) => ({ adapter, answer: capabilitiesOf(adapter), commands: supportedCommands(adapter) }))
  const offered = (on: boolean | undefined): string => (on === true ? 'yes' : '-')
  return table(['', ...told.map(({ adapter }) => adapter.arrayType)], [
    ['protocols', ...told.map(({ answer }) => answer.features.protocols.join(', '))],
    ['devices are identified by', ...told.map(({ answer }) => answer.features.deviceIdentification ?? '-')],
    ['consistency groups', ...told.map(({ answer }) => offered(answer.features.consistencyGroups))],
    ['access per request (dynamic access restriction)', ...told.map(({ answer }) => offered(answer.features.dynamicAccessRestriction))],
    ...places.map((place) => [`${place} runs at the`, ...told.map(({ answer }) => answer.commands.find(({ name }) => name === place)?.executionLocation ?? 'source')]),
    ...commandNames.filter((name) => told.some(({ commands }) => !commands.includes(name))).map((name) => [`the command ${name}`, ...told.map(({ commands }) => offered(commands.includes(name)))]),
    ['user name and password', ...told.map(({ adapter }) => offered(adapter.username && adapter.password))],
  ])
}

const parameters = (table: Table): string => table(['parameter', 'id', '', 'needed'], [
  [en.texts.AddressTitle, parameterIds.address, en.texts.AddressHint, 'yes'],
  [`${en.texts.UsernameTitle}, ${en.texts.PasswordTitle}`, '', `${en.texts.UsernameHint} SRM keeps both for itself; the adapter never logs or stores them.`, 'where the arrays have them'],
  [en.texts.SettingsTitle, parameterIds.settings, en.texts.SettingsHint, 'no'],
  [en.texts.FilterTitle, parameterIds.filter, en.texts.FilterHint, 'no'],
])

export const sraDocumentsPage = (table: Table): readonly string[] => [
  `What Site Recovery Manager sends and what it is answered, in the terms of the Storage Replication Adapter interface 2.0. Reader, writer, validator and this page
follow from one set of tables (\`sra/schema\`). Check a document of your own:`,
  '    smctl sra validate response.xml',
  '`?` may be missing, `+` once or more, `*` any number; `@` marks attributes. The order is the order in a response; in a request any order is read, and what is not named here is ignored.',
  '## What Site Recovery Manager is told',
  'Of the adapter: name and version, an identity that is another for each type of array and the same in every version, and the capabilities of the arrays. Every command is offered but those that the arrays have no use for:',
  capabilities(table),
  'To reach an array it asks the user for:', parameters(table),
  `Everything a user sees is there in ${locales.join(', ')}. Every error and every warning has a code (below) with a sentence and a remedy in these languages; what was found stands in it in English.`,
  '## The envelope', 'Of every request, within `Command`:', block(linesOf(envelope, 0)),
  'And the parameters of the command. Of every response, within `Response`: the answer of the command, then', block(linesOf({ Warnings: warnings }, 0)),
  'or one `Error` and nothing else. An error or a warning is `@code` with one element for each placeholder of its definition, or `Description` and `FixHint`.',
  '## Commands', ...commandNames.flatMap(command),
  '## Errors', `In ${locales.join(', ')}; \`{Found}\` and \`{Remedy}\` are in English. The numbers are those of [errors.md](errors.md).`,
  table(['code', 'what happened', 'what to do'], [
    ['100', 'Command {Command} not supported (told by Site Recovery Manager itself)', ''], ['101', 'Locale {Locale} not supported (likewise)', ''],
    ...definedErrors.map((kind) => [String(errorTable[kind].code), ...en.errors[kind]]),
  ]),
  '## Warnings', 'What was asked for has been done all the same.',
  table(['code', 'what happened', 'what to do'], [
    ['500', 'Replication of device {Device} is in progress (told by Site Recovery Manager itself)', ''],
    ...(Object.keys(warningTable) as WarningName[]).map((name) => [String(warningTable[name].code), ...en.warnings[name]]),
  ]),
]
