/** docs/sra-documents.md: requests and responses of every SRA command, errors and warnings, from the tables that read and write them. */
import { errorTable } from '../core/errors.ts'
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

export const sraDocumentsPage = (table: Table): readonly string[] => [
  `What Site Recovery Manager sends and what it is answered, in the terms of the Storage Replication Adapter interface 2.0. Reader, writer, validator and this page
follow from one set of tables (\`sra/schema\`). Check a document of your own:`,
  '    smctl sra validate response.xml',
  '`?` may be missing, `+` once or more, `*` any number; `@` marks attributes. The order is the order in a response; in a request any order is read, and what is not named here is ignored.',
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
