/** Reads what showmount says (nfs-utils 2.6; Debian 12). */

export interface NfsExport {
  readonly path: string
  /** Who may mount it, as the server puts it; `*` when it does not say. */
  readonly clients: string
}

/** Whether every line has its clients (or nothing) from this column on. */
const splitsAt = (lines: readonly string[], column: number): boolean =>
  lines.every((line) => (line.length < column || line[column - 1] === ' ') && !/\s/.test(line.slice(column))) && lines.some((line) => line.slice(0, column).trimEnd().length === column - 1)

/**
 * Paths are padded to one width, a blank follows, then the clients: separated by commas, without blanks, and by some servers left
 * out. A path may hold blanks, so the column is found first.
 */
export const parseShowmount = (text: string): readonly NfsExport[] => {
  const lines = text.split('\n').filter((line) => line.startsWith('/')).map((line) => line.trimEnd())
  const longest = lines.reduce((length, line) => Math.max(length, line.length), 0)
  for (let column = 2; column <= longest + 1; column += 1) {
    if (splitsAt(lines, column)) {
      return lines.map((line) => ({ path: line.slice(0, column).trimEnd(), clients: line.slice(column) === '' || line.slice(column) === '(everyone)' ? '*' : line.slice(column) }))
    }
  }
  return lines.map((path) => ({ path, clients: '*' }))
}
