import { describe, expect, it } from 'vitest'
import { activatedSockets, forgetActivation } from '../../cli/systemd.ts'

describe('socket activation', () => {
  it('gives the descriptors from 3 on to the process they are meant for', () => {
    expect(activatedSockets({ LISTEN_PID: '42', LISTEN_FDS: '2' }, 42)).toEqual([3, 4])
  })

  it('ignores variables that are absent, meant for another process or senseless', () => {
    expect(activatedSockets({}, 42)).toEqual([])
    expect(activatedSockets({ LISTEN_PID: '41', LISTEN_FDS: '1' }, 42)).toEqual([])
    for (const count of [undefined, '', '0', '-1', '1.5', 'x', '1000']) expect(activatedSockets({ LISTEN_PID: '42', LISTEN_FDS: count }, 42)).toEqual([])
  })

  it('is not inherited by host tools', () => {
    const env: Record<string, string | undefined> = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'smd.socket', PATH: '/bin' }
    forgetActivation(env)
    expect(env).toEqual({ PATH: '/bin' })
  })
})
