/** Blocks as text: aligned columns without frames, headings bold on a terminal that wants it. */
import { isatty } from 'node:tty'
import { oneLine } from '../output.ts'
import type { Block } from './views.ts'

/** Colour only for people: on a terminal, and not when NO_COLOR is set (no-color.org) or the terminal is dumb. */
export const wantsColour = (env: Readonly<Record<string, string | undefined>>, terminal = isatty(1)): boolean =>
  terminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'

const bold = (text: string): string => `\u001b[1m${text}\u001b[22m`

const noFrame = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map((part) => [part, '']),
)

const table = async (rows: readonly (readonly string[])[]): Promise<string> => {
  const { default: Table } = await import('cli-table3')
  const made = new Table({ chars: { ...noFrame, middle: '  ' }, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] } })
  for (const row of rows) made.push(row.map(oneLine))
  return made.toString().replace(/[ \t]+$/gm, '')
}

export const render = async (blocks: readonly Block[], colour: boolean): Promise<string> => {
  const heading = colour ? bold : (text: string): string => text
  const parts = await Promise.all(blocks.map(async (block) => {
    if (block.kind === 'line') return oneLine(block.text)
    if (block.kind === 'fields') {
      const width = Math.max(...block.rows.map(([label]) => label.length))
      return block.rows.map(([label, value]) => `${heading(label.padEnd(width))}  ${oneLine(value)}`).join('\n')
    }
    if (block.rows.length === 0) return block.empty
    const [head = '', ...rows] = (await table([block.head, ...block.rows])).split('\n')
    return [heading(head), ...rows].join('\n')
  }))
  return parts.length === 0 ? '' : `${parts.join('\n')}\n`
}
