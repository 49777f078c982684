import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { activatedSockets, forgetActivation } from '../../cli/systemd.ts'
import { defaultSocket } from '../../cli/state-directory.ts'

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

describe('the units', () => {
  const settings = (name: string): ReadonlyMap<string, string> =>
    new Map(readFileSync(join(import.meta.dirname, '..', '..', 'packaging', 'systemd', name), 'utf8').split('\n').flatMap((line) => {
      const match = /^(\w+)=(.*)$/.exec(line)
      return match?.[1] === undefined ? [] : [[match[1], match[2] ?? ''] as const]
    }))

  it('open the socket where every command looks for it, for its owner alone', () => {
    expect(settings('smd.socket').get('ListenStream')).toBe(defaultSocket('/var/lib/storage-manager'))
    expect(settings('smd.socket').get('SocketMode')).toBe('0600')
  })

  it('give the daemon no mount namespace, closed device list or lost capability that storage work needs', () => {
    const service = settings('smd.service')
    const namespaces = ['ProtectSystem', 'ProtectHome', 'PrivateTmp', 'PrivateDevices', 'PrivateMounts', 'PrivateNetwork', 'ProtectKernelTunables', 'ProtectKernelModules', 'ProtectKernelLogs', 'ProtectControlGroups', 'ProtectClock', 'ProtectProc', 'ReadWritePaths', 'ReadOnlyPaths', 'InaccessiblePaths', 'TemporaryFileSystem', 'RootDirectory', 'DynamicUser', 'DevicePolicy', 'DeviceAllow', 'MemoryDenyWriteExecute']
    expect(namespaces.filter((name) => service.has(name))).toEqual([])
    for (const capability of ['CAP_SYS_ADMIN', 'CAP_MKNOD', 'CAP_DAC_OVERRIDE', 'CAP_CHOWN', 'CAP_KILL']) expect(service.get('CapabilityBoundingSet')?.split(' ')).toContain(capability)
    expect(Number(service.get('TimeoutStopSec'))).toBeGreaterThan(20 + 10)
  })
})
