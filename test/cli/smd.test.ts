import { describe, expect, it } from 'vitest'
import { startDaemon } from '../../cli/smd.ts'
import { readSettings } from '../../cli/config.ts'
import { silentLog } from '../../host/log.ts'
import { connectUnix } from '../../rpc/client.ts'
import { attachSr, createMemoryEngine, srUuid, temporaryDirectory } from '../rpc/memory.ts'

describe('the daemon', () => {
  it('answers a typed client on its unix socket', async () => {
    const directory = temporaryDirectory()
    const { engine } = createMemoryEngine()
    await attachSr(engine)
    const daemon = await startDaemon({ settings: readSettings(directory.path), log: silentLog, compose: async () => engine })
    const client = await connectUnix(`${directory.path}/run/smd.sock`)
    expect(await client.call('SR.stat', { sr_uuid: srUuid })).toMatchObject({ uuid: srUuid, type: 'memory' })
    await client.close()
    await daemon.stop()
    directory.remove()
  })
})
