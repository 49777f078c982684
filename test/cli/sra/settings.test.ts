/** Settings of an installed adapter. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readSettings } from '../../../cli/sra/settings.ts'

const place = mkdtempSync(join(tmpdir(), 'sra-settings-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))
const file = (content: unknown): string => {
  const path = join(place, `${Math.random()}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('settings of the adapter', () => {
  it('come from the file, whose paths are meant from where it is, and flags count before it', () => {
    const adapter = file({ array_type: 'model', state_directory: 'state', time_limit_seconds: 600, in_process: true })
    expect(readSettings(['--adapter', adapter])).toEqual({ arrayType: 'model', stateDirectory: join(place, 'state'), timeLimitSeconds: 600, daemon: 'never' })
    expect(readSettings(['--adapter', adapter, '--type', 'other', '--time-limit', '60', 'request.xml'])).toMatchObject({ arrayType: 'other', timeLimitSeconds: 60, request: 'request.xml' })
  })

  it.each([
    ['no type', () => readSettings([]), /array_type/],
    ['an unknown key', () => readSettings(['--adapter', file({ array_type: 'model', colour: 1 })]), /unknown key "colour"/],
    ['no JSON', () => readSettings(['--adapter', file('{')]), /cannot be read/],
    ['a list', () => readSettings(['--adapter', file([])]), /no object/],
    ['a limit without an end', () => readSettings(['--type', 'model', '--time-limit', '1e9']), /time_limit_seconds/],
    ['two requests', () => readSettings(['--type', 'model', 'a', 'b']), /more than one request/],
    ['an unknown flag', () => readSettings(['--typ', 'model']), /arguments/],
  ])('are refused with %s', (_, read, says) => expect(read).toThrow(says))
})
