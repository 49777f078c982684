/**
 * The same calls through every front end - in process, unix socket, HTTP, stdio, the daemon, smctl and FileSR with and without it -
 * give the same answers, the same errors, and leave the same SR behind. Exit statuses are compared with the table of errors by callers.ts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { composeEngine } from '../../cli/compose.ts'
import { reportError, StorageError } from '../../core/errors.ts'
import type { MethodName } from '../../core/methods/index.ts'
import { MiB } from '../../core/units.ts'
import { silentLog } from '../../host/log.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { frontEnds, type FrontEnd } from '../kit/file-harness.ts'
import { fileSr, fileSrAndSmd, readScan, runFileSr, smctl, smctlAndSmd, smd } from './callers.ts'

const sr_uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi_uuid = '98de866e-b035-4b1a-a571-613bff542b89'
const snapshot = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'
const clone = '5a1c9e0e-4d8b-4b8f-9d2a-7f6e5d4c3b2a'
const nobody = 'f2b7e4a0-6c1d-4f38-9a55-0d1c2b3a4e5f'
const one = { sr_uuid, vdi_uuid }

type Step = readonly [MethodName, Readonly<Record<string, unknown>>]

/** `place` stands for the directory of each front end. Only what every front end can say: numbers are numbers, uuids are given. */
const stepsIn = (location: string): readonly Step[] => {
  const place = { type: 'file', device_config: { location } }
  return [
    ['VDI.create', { sr_uuid, vdi_uuid, size: MiB }],
    ['SR.create', { ...place, sr_uuid, size: 0 }],
    ['SR.create', { ...place, sr_uuid, size: 0 }],
    ['SR.scan', { sr_uuid }],
    ['SR.attach', { ...place, sr_uuid }],
    ['SR.content_type', { sr_uuid }],
    ['VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB }],
    ['VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB }],
    ['VDI.create', { sr_uuid, vdi_uuid: nobody, size: 0 }],
    ['VDI.create', { sr_uuid, vdi_uuid: nobody, size: 4 * 1024 ** 4 }],
    ['VDI.create', { sr_uuid, vdi_uuid: '../../etc/passwd', size: MiB }],
    ['VDI.attach', one],
    ['VDI.delete', one],
    ['VDI.resize', { ...one, size: 6 * MiB }],
    ['SR.detach', { sr_uuid }],
    ['VDI.detach', one],
    ['VDI.detach', one],
    ['VDI.resize', { ...one, size: 6 * MiB }],
    ['VDI.resize', { ...one, size: 2 * MiB }],
    ['VDI.lock', { ...one, owner: 'host7/vm3', force: false }],
    ['VDI.lock', { ...one, owner: 'host8/vm4', force: false }],
    ['VDI.snapshot', { ...one, dest_uuid: snapshot }],
    ['VDI.unlock', { ...one, owner: 'host8/vm4' }],
    ['VDI.unlock', { ...one, owner: 'host7/vm3' }],
    ['VDI.snapshot', { ...one, dest_uuid: snapshot }],
    ['VDI.clone', { sr_uuid, vdi_uuid: snapshot, dest_uuid: clone }],
    ['VDI.attach', { sr_uuid, vdi_uuid: nobody }],
    ['SR.delete', { ...place, sr_uuid }],
    ['VDI.delete', { sr_uuid, vdi_uuid: nobody }],
    ['SR.attach', { type: 'file', device_config: { location: `${location}/../other` }, sr_uuid }],
    ['SR.scan', { sr_uuid }],
  ]
}

/** What differs from place to place and from moment to moment. */
const normalised = (value: unknown, directory: string): unknown =>
  JSON.parse(JSON.stringify(value, (key, inner: unknown) => (['utilisation', 'physical_utilisation', 'physical_size', 'free', 'snapshot_time', 'taken_at', 'since', 'expires', 'call_id'].includes(key) ? `<${key}>` : inner)).replaceAll(directory, '<directory>').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'))

type Told = readonly [method: string, outcome: unknown]

interface Play {
  readonly told: readonly Told[]
  /** The SR in the end, as FileSR shows it: the language that all can be compared in. */
  readonly left: unknown
}

const all: Readonly<Record<string, FrontEnd>> = {
  ...frontEnds, 'through the daemon': smd, 'through smctl': smctl, 'through smctl and the daemon': smctlAndSmd, 'through FileSR': fileSr, 'through FileSR and the daemon': fileSrAndSmd,
}

const play = async (name: string, errorsAs: (error: StorageError) => unknown): Promise<Play> => {
  const directory = mkdtempSync(join(tmpdir(), 'sm-front-'))
  const location = join(directory, 'disks')
  const state = join(directory, 'state')
  mkdirSync(location)
  const ends: (() => Promise<void>)[] = []
  try {
    const open = all[name]
    if (open === undefined) throw new Error(`there is no front end ${name}`)
    const session = await open(async () => composeEngine({ stateDirectory: state, log: silentLog, scanner: createDirectScanner() }), { directory, stateDirectory: state, atEnd: (work) => void ends.push(work) })
    const told: Told[] = []
    for (const [method, params] of stepsIn(location)) {
      const outcome = await session.call(method, params as never).catch((error: unknown) => {
        if (!(error instanceof StorageError)) throw error
        return { error: errorsAs(error) }
      })
      told.push([method, normalised(outcome, directory)])
    }
    const left = normalised(readScan(await runFileSr(location, 'SR.scan', { sr_uuid }, state)), directory)
    await session.close()
    return { told, left }
  } finally {
    await Promise.all(ends.map(async (end) => end()))
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Kind and words; the paths that differ are taken out later. */
const kindAndWords = (error: StorageError): unknown => ({ kind: error.kind, message: reportError(error).message })
const kindAlone = (error: StorageError): unknown => error.kind

describe('every front end gives the same answers', () => {
  it.each(['over a unix socket', 'over HTTP', 'over stdio', 'through the daemon', 'through smctl', 'through smctl and the daemon'])('%s as in process, errors by their kind and words', async (name) => {
    const [wanted, found] = [await play('in process', kindAndWords), await play(name, kindAndWords)]
    expect(found).toEqual(wanted)
    expect(new Set(wanted.told.map(([, outcome]) => (outcome as { readonly error?: { readonly kind: string } }).error?.kind)).size).toBeGreaterThan(6)
  })

  it.each(['through FileSR', 'through FileSR and the daemon'])('%s the same errors, by their kind and exit status, and the same SR in the end', async (name) => {
    const errors = ({ told }: Play): readonly unknown[] => told.map(([method, outcome]) => [method, (outcome as { readonly error?: string }).error ?? 'done'])
    const [wanted, found] = [await play('in process', kindAlone), await play(name, kindAlone)]
    expect(errors(found)).toEqual(errors(wanted))
    expect(found.left).toEqual(wanted.left)
  })
})
