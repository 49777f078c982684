import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import { isServer, isServerPath, mountSource } from '../../../host/nfs/address.ts'
import { nfsMountOptions, showmountCommand } from '../../../host/nfs/build.ts'
import { explainFileFailure, explainMountFailure, isStale } from '../../../host/nfs/explain.ts'
import { parseShowmount } from '../../../host/nfs/parse.ts'
import { parseReply, pingNfs } from '../../../host/nfs/ping.ts'

const never = new AbortController().signal

describe('a server and a path on it', () => {
  it.each(['filer', 'filer.example.com', 'filer-1.example.com.', '192.0.2.10', 'fd00::10', '[fd00::10]', 'fe80::1%eth0', '::1'])('%s is a server', (text) => {
    expect(isServer(text)).toBe(true)
  })

  it.each(['', 'a b', 'a,b', 'host:/path', '-o', '192.0.2.256', '1.2.3', '[filer]', 'filer\n', 'a/b', '..', 'ü.example', `${'a'.repeat(64)}.example`])('%j is none', (text) => {
    expect(isServer(text)).toBe(false)
  })

  it.each(['/', '/srv/sr', '/with blank/and,comma', '/ü'])('%s is a path', (path) => expect(isServerPath(path)).toBe(true))
  it.each(['', 'srv', '/srv/', '//srv', '/srv/../etc', '/srv/./a', '/a\nb', '/a\0b', `/${'a'.repeat(1024)}`])('%j is none', (path) => expect(isServerPath(path)).toBe(false))

  it('are joined as mount(8) wants them, an IPv6 address in brackets', () => {
    expect(mountSource('filer', '/a b')).toBe('filer:/a b')
    expect(mountSource('fd00::10', '/a')).toBe('[fd00::10]:/a')
    expect(mountSource('[fd00::10]', '/a')).toBe('[fd00::10]:/a')
  })
})

describe('mount options', () => {
  it('are built from checked parts, one by one', () => {
    expect(nfsMountOptions({ server: 'filer', version: '4', policy: 'hard', timeo: 100, retrans: 2 })).toEqual(
      ['rw', 'vers=4', 'hard', 'timeo=100', 'retrans=2', 'retry=0', 'actimeo=0', 'nosharecache', 'nosuid', 'nodev', 'noexec'])
    expect(nfsMountOptions({ server: 'fd00::1', version: '3', policy: 'soft', timeo: 20, retrans: 1, port: 2050, readOnly: true })).toEqual(
      ['ro', 'vers=3', 'proto=tcp6', 'port=2050', 'soft', 'timeo=20', 'retrans=1', 'retry=0', 'actimeo=0', 'nosharecache', 'nosuid', 'nodev', 'noexec'])
    expect(nfsMountOptions({ server: '192.0.2.1', version: '4.2', policy: 'hard', timeo: 100, retrans: 2 })).toContain('proto=tcp')
    expect(showmountCommand('[fd00::1]', 10_000).argv).toEqual(['showmount', '--no-headers', '--exports', '--', 'fd00::1'])
  })
})

describe('what showmount says', () => {
  /** As showmount 2.6 prints it: paths padded to the longest, a blank, the clients. */
  const print = (exports: readonly { readonly path: string; readonly clients: string }[]): string => {
    const width = Math.max(0, ...exports.map(({ path }) => path.length))
    return exports.map(({ path, clients }) => `${path.padEnd(width)} ${clients}\n`).join('')
  }

  it('is read: paths and who may mount them', () => {
    expect(parseShowmount('/srv/lab-nfs/sr 10.0.0.0/8,192.0.2.1\n/srv/lab-nfs    *\n')).toEqual([{ path: '/srv/lab-nfs/sr', clients: '10.0.0.0/8,192.0.2.1' }, { path: '/srv/lab-nfs', clients: '*' }])
    expect(parseShowmount('/export (everyone)\n')).toEqual([{ path: '/export', clients: '*' }])
    expect(parseShowmount('')).toEqual([])
  })

  it('is read also when a filer names no clients, or a path has blanks', () => {
    expect(parseShowmount('/vol/vm disks \n/vol/iso      \n')).toEqual([{ path: '/vol/vm disks', clients: '*' }, { path: '/vol/iso', clients: '*' }])
    expect(parseShowmount('/vol/vm disks host1\n/vol/iso      *\n')).toEqual([{ path: '/vol/vm disks', clients: 'host1' }, { path: '/vol/iso', clients: '*' }])
  })

  it('gives back every list of exports with clients', () => {
    const path = fc.stringMatching(/^\/[a-z]{1,12}(\/[a-z]{1,8}){0,2}$/)
    const clients = fc.constantFrom('*', '10.0.0.0/8', 'host1,host2', '@group', 'a.example.com')
    fc.assert(fc.property(fc.array(fc.record({ path, clients }), { minLength: 1, maxLength: 6 }), (exports) => {
      expect(parseShowmount(print(exports))).toEqual(exports)
    }))
  })
})

describe('asking a server whether it speaks NFS', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** Answers a call as `reply` says, `undefined`: not at all. */
  const listen = async (reply: (call: Buffer) => Buffer | undefined): Promise<number> => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (call) => {
        const answer = reply(call)
        if (answer !== undefined) socket.write(answer)
      })
    })
    servers.push(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return (server.address() as AddressInfo).port
  }

  const words = (...values: readonly number[]): Buffer => {
    const out = Buffer.alloc(values.length * 4)
    for (const [index, value] of values.entries()) out.writeUInt32BE(value, index * 4)
    return out
  }
  const replyTo = (call: Buffer, ...rest: readonly number[]): Buffer => Buffer.concat([words(0x80000000 + 8 + rest.length * 4), call.subarray(4, 8), words(1, ...rest)])
  const ping = async (port: number, version: 3 | 4 = 4) => pingNfs({ host: '127.0.0.1', port }, version, 2000, never)

  it('sends the NULL call of the NFS program', async () => {
    let seen = Buffer.alloc(0)
    const port = await listen((call) => {
      seen = Buffer.from(call)
      return replyTo(call, 0, 0, 0, 0)
    })
    expect(await ping(port)).toEqual({ speaks: true })
    // Record mark, (xid), CALL, RPC 2, program 100003, version 4, procedure 0, no credentials, no verifier.
    expect(seen.toString('hex')).toMatch(/^80000028.{8}00000000000000020001 ?86a30000000400000000(00000000){4}$/)
  })

  it('learns which versions there are when it is not that one', async () => {
    expect(await ping(await listen((call) => replyTo(call, 0, 0, 0, 2, 2, 3)))).toEqual({ speaks: false, lowest: 2, highest: 3 })
  })

  it.each<[string, (call: Buffer) => Buffer | undefined, RegExp]>([
    ['has no NFS', (call) => replyTo(call, 0, 0, 0, 1), /no NFS program/],
    ['denies the call', (call) => replyTo(call, 1, 1, 1, 0), /denies/],
    ['is no RPC server', () => Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'), /no RPC reply/],
    ['says nothing', () => undefined, /did not answer within 2 s/],
  ])('fails clearly when what listens there %s', async (_, reply, says) => {
    await expect(ping(await listen(reply))).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringMatching(says), facts: { field: 'device_config.server', remedy: expect.any(String) } })
  })

  it('fails clearly when nothing listens there, and when the name is unknown', async () => {
    const port = await listen(() => undefined)
    servers.splice(0).forEach((server) => server.close())
    await expect(ping(port)).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringContaining('refuses connections') })
    await expect(pingNfs({ host: 'no-such-host.invalid', port: 2049 }, 4, 5000, never)).rejects.toMatchObject({ kind: 'unreachable' })
  })

  it('stops when the call is cancelled', async () => {
    const controller = new AbortController()
    const waiting = pingNfs({ host: '127.0.0.1', port: await listen(() => undefined) }, 4, 60_000, controller.signal)
    controller.abort(new StorageError('cancelled', 'enough'))
    await expect(waiting).rejects.toMatchObject({ kind: 'cancelled' })
  })

  it('never takes garbage for an answer', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        const answer = parseReply(1, Buffer.from(bytes))
        // The odds of a valid reply to call 1 by chance are nil.
        expect(answer).toBeUndefined()
        expect(bytes.length).toBeLessThan(28)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        expect(bytes.length).toBeGreaterThanOrEqual(28)
      }
    }))
  })
})

describe('failures of NFS', () => {
  const place = { server: 'filer', path: '/srv/sr' }
  const run = (stderr: string): StorageError => new StorageError('toolFailed', `mount failed with status 32: ${stderr}`, { details: { stderr } })

  it.each([
    ['mount.nfs4: mounting 127.0.0.1:/nope failed, reason given by server: No such file or directory', 'placeMissing'],
    ['mount.nfs: access denied by server while mounting 127.0.0.1:/srv', 'permissionDenied'],
    ['mount.nfs4: Connection refused for 127.0.0.1:/sr on /m', 'unreachable'],
    ['mount.nfs4: mount system call failed for /m', 'unreachable'],
    ['mount.nfs: Protocol not supported for 127.0.0.1:/sr on /m', 'notSupported'],
    ['mount.nfs: rpc.statd is not running but is required for remote locking.', 'toolFailed'],
    ['mount: /m: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.', 'toolMissing'],
    ['mount.nfs4: Stale file handle', 'unreachable'],
  ])('of mount are told apart: %s', (stderr, kind) => {
    const error = explainMountFailure(run(stderr), place)
    expect(error).toMatchObject({ kind, facts: { layer: 'host:nfs', remedy: expect.any(String) } })
    expect((error as StorageError).message).toContain(stderr.slice(0, 30))
  })

  it('of mount that nobody knows stay what they are', () => {
    const odd = run('something new')
    expect(explainMountFailure(odd, place)).toBe(odd)
    expect(explainMountFailure(new Error('x'), place)).toBeInstanceOf(Error)
    expect(explainMountFailure(new StorageError('outcomeUnknown', 'mount did not end within 30 s'), place)).toMatchObject({ kind: 'unreachable' })
  })

  it('of files mean what they mean on a share, and name the export', () => {
    const system = (code: string): Error => Object.assign(new Error(`${code}: failed, open`), { code, syscall: 'open' })
    for (const [code, kind] of [['ESTALE', 'unreachable'], ['EACCES', 'permissionDenied'], ['EROFS', 'readOnly'], ['EIO', 'unreachable'], ['ENOLCK', 'lockUnavailable'], ['EDQUOT', 'noSpace']] as const) {
      expect(explainFileFailure(place)(system(code))).toMatchObject({ kind, facts: { remedy: expect.any(String) } })
    }
    const taken = system('EEXIST')
    expect(explainFileFailure(place)(taken)).toBe(taken)
    expect(isStale(explainFileFailure(place)(system('ESTALE')))).toBe(true)
    expect(isStale(system('EIO'))).toBe(false)
  })
})
