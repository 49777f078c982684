/** Secrets of a device_config. Every answer, error and log line of every case is searched for them; these cases provoke them. */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

export const secrets: Topic = {
  topic: 'secrets',
  cases: [
    {
      name: 'a secret is masked where SRs are listed, and everything else is shown',
      needsWorld: ['secrets'],
      async run(stage) {
        await stage.sr()
        const { srs: [row] } = await stage.main.call('SR.list', {})
        assert.ok(row)
        const hidden = Object.entries(stage.place.device_config).filter(([, value]) => (stage.world.secrets ?? []).includes(value)).map(([key]) => key)
        assert.ok(hidden.length > 0, 'the harness plants its secrets in device_config')
        for (const [key, value] of Object.entries(stage.place.device_config)) assert.equal(row.device_config[key], hidden.includes(key) ? '***' : value)
      },
    },
    {
      name: 'no error repeats a secret: not under a misspelt key, not for a wrong place, not for another way to a known SR',
      needsWorld: ['secrets'],
      async run(stage) {
        const secret = stage.world.secrets?.[0] ?? ''
        const sr = await stage.sr()
        const { type, device_config: config } = stage.place
        await rejects('invalidArgument', stage.main.call('SR.attach', { type, sr_uuid: sr.uuid, device_config: { ...config, pasword: secret } }))
        const changed = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, value === secret ? `${secret}-other` : value]))
        const error = await rejects('invalidArgument', stage.main.call('SR.attach', { type, sr_uuid: sr.uuid, device_config: changed }))
        assert.match(error.facts.field ?? '', /^device_config/)
        await stage.main.call('SR.probe', stage.place)
        await stage.main.call('Driver.list', {})
        await stage.main.call('Host.status', {})
        await sr.call('SR.stat', {})
      },
    },
  ],
}
