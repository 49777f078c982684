/** Sessions, certificates, repeats and deadlines of the client, against written-down exchanges. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { reportError, StorageError } from '../../../../../core/errors.ts'
import { connectWsapi } from '../../../../../drivers/array-replication/hpe-3par/wsapi/client.ts'
import { readSystem } from '../../../../../drivers/array-replication/hpe-3par/wsapi/system.ts'
import { createVolume, findVolume, growVolume, listVolumes } from '../../../../../drivers/array-replication/hpe-3par/wsapi/volumes.ts'
import { keptLog, login, logout, onScript, scriptedArray, signal, version, type Line } from './scripted-array.ts'

const system: Line = { ask: 'GET /api/v1/system', answer: { id: 1612345, name: 's1', model: 'HPE_3PAR 8400', systemVersion: '3.3.1', newMember: [1] } }
const caught = async (work: Promise<unknown>): Promise<StorageError> => {
  try {
    await work
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('sessions', () => {
  it('logs in once for many requests, and logs out at the end', async () => {
    const { array } = await onScript([system, system, system], async (api) => {
      for (let count = 0; count < 3; count += 1) await readSystem(api, signal())
    })
    expect(array.seen.map(({ key }) => key)).toEqual([undefined, undefined, 'key-1', 'key-1', 'key-1', 'key-1'])
  })

  it('asks for no session when nothing was wanted but the version', async () => {
    const array = await scriptedArray([version])
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog() }, signal())
    await api.close()
    expect(array.seen.map(({ ask }) => ask)).toEqual(['GET /api'])
    await array.close()
  })

  it('logs in once again when the session has expired, and repeats the request, a write too', async () => {
    const create = { ask: 'POST /api/v1/volumes', body: { name: 'v', cpg: 'c', sizeMiB: 256 } }
    const array = await scriptedArray([version, login('old'), { ...create, status: 403, answer: { code: 6, desc: 'invalid session key' } }, login('new'), { ...create, status: 201 }, logout('new')])
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog() }, signal())
    await createVolume(api, { name: 'v', cpg: 'c', sizeMiB: 256 }, signal())
    await api.close()
    expect(array.unexpected).toEqual([])
    expect(array.left()).toEqual([])
    await array.close()
  })

  it('does not take any other refusal for an expired session: it reaches the array once', async () => {
    const refused: Line = { ask: 'POST /api/v1/volumes', status: 403, answer: { code: 13, desc: 'permission denied' } }
    const { result } = await onScript([refused], async (api) => caught(createVolume(api, { name: 'v', cpg: 'c', sizeMiB: 256 }, signal())))
    expect(result.kind).toBe('permissionDenied')
  })

  it('gives up when the new session is refused at once, too', async () => {
    const expired: Line = { ...system, status: 403, answer: { code: 6, desc: 'invalid session key' } }
    const array = await scriptedArray([version, login('a'), expired, login('b'), expired, logout('b')])
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog() }, signal())
    expect((await caught(readSystem(api, signal()))).kind).toBe('unauthenticated')
    await api.close()
    expect(array.left()).toEqual([])
    await array.close()
  })

  it('holds no more sessions than it may, and runs no two requests under one', async () => {
    let next = 0
    const array = await scriptedArray([version, { ...login('k'), delayMs: 5 }, { ...system, delayMs: 10 }, logout('k')], { anyOrder: true })
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog(), sessions: 2 }, signal())
    await Promise.all(Array.from({ length: 12 }, async () => {
      next += 1
      return readSystem(api, signal())
    }))
    await api.close()
    const count = (ask: string): number => array.seen.filter((one) => one.ask === ask).length
    expect(next).toBe(12)
    expect(count('GET /api/v1/system')).toBe(12)
    expect(count('POST /api/v1/credentials')).toBe(2)
    expect(count('DELETE /api/v1/credentials/k')).toBe(2)
    expect(array.peak()).toBeLessThanOrEqual(2)
    await array.close()
  })

  it('waits for a free session when the array has none, and says so when none comes', async () => {
    const full: Line = { ask: 'POST /api/v1/credentials', status: 503 }
    const array = await scriptedArray([version, full, login('k'), system, logout('k'), version, full, full, full])
    const options = { url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog(), pauses: [1, 1] }
    const first = await connectWsapi(options, signal())
    await readSystem(first, signal())
    await first.close()
    const second = await connectWsapi(options, signal())
    expect((await caught(readSystem(second, signal()))).kind).toBe('unreachable')
    await second.close()
    expect(array.unexpected).toEqual([])
    await array.close()
  })

  it('tells a wrong password, without telling the password', async () => {
    const array = await scriptedArray([version, { ask: 'POST /api/v1/credentials', status: 403, answer: { code: 5, desc: 'invalid username or password' } }])
    const log = keptLog()
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log }, signal())
    const error = await caught(readSystem(api, signal()))
    await api.close()
    expect(error.kind).toBe('unauthenticated')
    expect(error.facts.details).toMatchObject({ http_status: 403, vendor_code: 5, vendor_text: 'invalid username or password' })
    expect([inspect(error, { depth: 9 }), JSON.stringify(reportError(error)), ...log.lines].join('\n')).not.toContain('pass-word-1')
    await array.close()
  })

  it('shows no session key in errors, logs and request traces', async () => {
    const log = keptLog()
    const traces: string[] = []
    const { result } = await onScript([{ ...system, lost: true }, { ...system, lost: true }], async (api) => caught(readSystem(api, signal())), { log, onRequest: (method, path) => traces.push(`${method} ${path}`) })
    expect([inspect(result, { depth: 9 }), ...log.lines, ...traces].join('\n')).not.toContain('key-1')
  })
})

describe('certificates', () => {
  const tried = async (tls: 'system' | { readonly ca: string } | { readonly fingerprint: string } | 'right-fingerprint'): Promise<{ readonly kind: string; readonly asked: number }> => {
    const array = await scriptedArray([version])
    try {
      const api = await connectWsapi({ url: array.url, user: 'u', password: 'p', tls: tls === 'right-fingerprint' ? { fingerprint: array.fingerprint.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:') } : tls, log: keptLog() }, signal())
      await api.close()
      return { kind: 'connected', asked: array.seen.length }
    } catch (error) {
      return { kind: (error as StorageError).kind, asked: array.seen.length }
    } finally {
      await array.close()
    }
  }

  it('refuses a self-signed certificate that nobody vouched for, before anything is asked', async () => {
    expect(await tried('system')).toEqual({ kind: 'unauthenticated', asked: 0 })
  })
  it('accepts the certificate that was pinned by its fingerprint', async () => {
    expect(await tried('right-fingerprint')).toEqual({ kind: 'connected', asked: 1 })
  })
  it('refuses every other certificate than the pinned one, before anything is asked', async () => {
    expect(await tried({ fingerprint: 'ab'.repeat(32) })).toEqual({ kind: 'unauthenticated', asked: 0 })
  })
  it('refuses what is no fingerprint', async () => {
    expect(await tried({ fingerprint: 'abcd' })).toEqual({ kind: 'invalidArgument', asked: 0 })
  })
  it.each(['http://127.0.0.1:8008/api/v1', 'https://u:p@127.0.0.1/api/v1', 'array'])('refuses the address %s', async (url) => {
    expect((await caught(connectWsapi({ url, user: 'u', password: 'p', tls: 'system', log: keptLog() }, signal()))).facts.field).toBe('url')
  })
})

describe('answers that do not come', () => {
  it('repeats a read once', async () => {
    const { result } = await onScript([{ ...system, lost: true }, system], async (api) => readSystem(api, signal()))
    expect(result.id).toBe(1612345)
  })

  it('never repeats a write: its outcome is unknown', async () => {
    const { result } = await onScript([{ ask: 'PUT /api/v1/volumes/v', body: { action: 3, sizeMiB: 256 }, lost: true }], async (api) => caught(growVolume(api, 'v', 256, signal())))
    expect(result.kind).toBe('outcomeUnknown')
    expect(result.facts.mayHaveChanged).toBe(true)
  })

  it('sends a write again that the array was too busy to look at', async () => {
    const grow: Line = { ask: 'PUT /api/v1/volumes/v', body: { action: 3, sizeMiB: 256 } }
    await onScript([{ ...grow, status: 503 }, { ...grow, status: 503 }, grow], async (api) => growVolume(api, 'v', 256, signal()))
  })

  it('stops waiting at the deadline: a write may have happened', async () => {
    const { result } = await onScript([{ ask: 'PUT /api/v1/volumes/v', delayMs: 3_000 }], async (api) => caught(growVolume(api, 'v', 256, signal())), { timeoutMs: 300 })
    expect(result.kind).toBe('outcomeUnknown')
  })

  it('stops when it is cancelled', async () => {
    const { result } = await onScript([{ ...system, delayMs: 3_000 }], async (api) => {
      const abort = new AbortController()
      setTimeout(() => abort.abort(), 200)
      return caught(readSystem(api, abort.signal))
    })
    expect(result.kind).toBe('cancelled')
  })

  it('tells an array that is not there from one that does not answer', async () => {
    const array = await scriptedArray([version])
    await array.close()
    const error = await caught(connectWsapi({ url: array.url, user: 'u', password: 'p', tls: { ca: array.ca }, log: keptLog() }, signal()))
    expect(error.kind).toBe('unreachable')
    expect(error.message).toContain('ECONNREFUSED')
  })
})

describe('answers', () => {
  it('lets unknown members pass and refuses what is no answer of the array', async () => {
    const { result } = await onScript([{ ask: 'GET /api/v1/system', answer: { id: 'one', name: 's1' } }], async (api) => caught(readSystem(api, signal())))
    expect(result.kind).toBe('arrayFault')
    expect(result.message).toContain('id')
  })

  it('takes an unreleased array for not supported', async () => {
    const array = await scriptedArray([{ ...version, answer: { major: 1, minor: 2, build: 30102000 } }])
    expect((await caught(connectWsapi({ url: array.url, user: 'u', password: 'p', tls: { ca: array.ca }, log: keptLog() }, signal()))).kind).toBe('notSupported')
    await array.close()
  })

  it('lists a thousand volumes with one request', async () => {
    const members = Array.from({ length: 1000 }, (_, id) => ({ id, name: `v${id}`, sizeMiB: 256, wwn: `60002AC${id.toString(16).padStart(25, '0')}`, provisioningType: 2, copyType: 1, links: [{ href: 'x', rel: 'self' }] }))
    const { result, array } = await onScript([{ ask: 'GET /api/v1/volumes', answer: { total: 1000, members } }], async (api) => listVolumes(api, undefined, signal()))
    expect(result).toHaveLength(1000)
    expect(array.seen).toHaveLength(4)
  })

  it('answers undefined for what is not there, and only for that', async () => {
    const read = { ask: 'GET /api/v1/volumes/v' }
    const { result } = await onScript([{ ...read, status: 404, answer: { code: 23, desc: 'volume does not exist' } }, { ...read, status: 500, answer: { code: 1, desc: 'internal' } }], async (api) =>
      [await findVolume(api, 'v', signal()), (await caught(findVolume(api, 'v', signal()))).kind])
    expect(result).toEqual([undefined, 'arrayFault'])
  })
})
