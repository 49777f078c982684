/** What all generators do with their files: write what has changed, or with `--check` only say that something is out of date. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const root = join(import.meta.dirname, '..')

export interface Output {
  readonly path: string
  readonly text: string
  readonly mode: number
}

/** Exit status 1 when `--check` finds a file that differs from what would be generated. */
export const writeOutputs = (outputs: readonly Output[]): void => {
  const stale = outputs.filter(({ path, text }) => !existsSync(path) || readFileSync(path, 'utf8') !== text)
  const check = process.argv.includes('--check')
  for (const { path, text, mode } of stale) {
    const name = relative(root, path)
    if (check) {
      console.error(`out of date: ${name}; run npm run generate`)
      continue
    }
    writeFileSync(path, text)
    chmodSync(path, mode)
    console.log(`wrote ${name}`)
  }
  if (check && stale.length > 0) process.exitCode = 1
}
