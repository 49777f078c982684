/** What composing adds to its parts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { composeEngine } from '../../cli/compose.ts'
import { silentLog } from '../../host/log.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'

const path = process.env['PATH']
const stateDirectory = mkdtempSync(join(tmpdir(), 'sm-compose-'))
afterEach(() => {
  process.env['PATH'] = path
  rmSync(stateDirectory, { recursive: true, force: true })
})

it('names the package of a host tool that is missing', async () => {
  const engine = await composeEngine({ stateDirectory, log: silentLog, scanner: createDirectScanner() })
  process.env['PATH'] = '/nowhere'
  await expect(engine.call('SR.probe', { type: 'ext', device_config: { device: '/dev/none' } })).rejects.toMatchObject({
    kind: 'toolMissing', facts: { remedy: 'Install it: apt-get install util-linux' },
  })
  await engine.close()
})
