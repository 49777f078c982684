/** An SR type that lives in memory, and an engine on it: what the front ends are tested against. */
import type { Arrays } from '../../core/array/ports.ts'
import { answerInEngine } from '../../sra/for-engine.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import type { CallTrace, Engine } from '../../core/caller.ts'
import { features as everything, type Driver, type VdiRecord } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { createEngine } from '../../core/engine.ts'
import { StorageError } from '../../core/errors.ts'
import { asSrUuid, asVdiUuid, copiedVdiUuid, type VdiUuid } from '../../core/ids.ts'
import { createLockTable } from '../../core/lock-table.ts'
import type { AttachmentRecord, Host, HostRecords, Log, SrRecord } from '../../core/ports.ts'
import { silentLog } from '../../host/log.ts'

export const srUuid = asSrUuid('87b8646b-b800-9500-cb7b-af3b74e02f5c')
export const otherSrUuid = asSrUuid('0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53')
export const vdiUuid = '98de866e-b035-4b1a-a571-613bff542b89'
export const snapshotUuid = '5f2d9a64-3c0e-4b7c-8f6a-0d5b1c9e7a11'
export const newUuid = 'c3a8f0b2-1d4e-4f6a-9b7c-2e5d8f1a0b3c'
export const secret = 'correct-horse-battery-staple'

/** Lets a test hold the driver inside a call until it says otherwise. */
export interface Gate {
  /** Calls that are inside. */
  inside: number
  open: () => void
  pass(signal: AbortSignal): Promise<void>
}

export const createGate = (): Gate => {
  let release = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    release = resolve
  })
  const gate: Gate = {
    inside: 0,
    open: () => release(),
    async pass(signal) {
      gate.inside += 1
      try {
        await new Promise<void>((resolve, reject) => {
          const stop = (): void => reject(signal.reason as Error)
          if (signal.aborted) stop()
          signal.addEventListener('abort', stop, { once: true })
          void opened.then(resolve)
        })
      } finally {
        gate.inside -= 1
      }
    },
  }
  return gate
}

export interface Memory {
  readonly driver: Driver
  readonly vdis: Map<VdiUuid, VdiRecord>
  /** When set, scan (a call that reads) and create (one that writes) wait in it. */
  gate: Gate | undefined
  /** VDIs that the collector still has to remove. */
  readonly garbage: Set<VdiUuid>
  collections: number
  /** Thrown by the next collector run. */
  collectFails: Error | undefined
}

const createMemory = (): Memory => {
  const vdis = new Map<VdiUuid, VdiRecord>()
  const garbage = new Set<VdiUuid>()
  const find = (vdi: VdiUuid): VdiRecord => {
    const found = vdis.get(vdi)
    if (found === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer: 'driver:memory' })
    return found
  }
  const used = (): number => [...vdis.values()].reduce((sum, vdi) => sum + vdi.utilisation, 0)
  const stat = () => ({ physicalSize: 2 ** 40, physicalUtilisation: used(), free: 2 ** 40 - used(), name: 'memory', description: '' })
  const memory: Memory = {
    vdis, garbage, gate: undefined, collections: 0, collectFails: undefined,
    driver: defineDriver({
      type: 'memory', executable: 'Memory', title: 'Memory', summary: 'Disks in memory, for tests', contract: 1,
      features: everything,
      srOperations: ['create', 'delete', 'introduce', 'reidentify'],
      contentType: 'vhd',
      limits: { shared: false, minVdiSize: 512, maxVdiSize: 2 ** 40, sizeStep: 512 },
      defaultVdiVisibility: true,
      tools: [],
      example: { location: '/memory' },
      dconf: z.strictObject({
        location: z.string().startsWith('/').describe('Where it pretends to be'),
        password: z.string().max(64).optional().describe('Who may use it').meta({ secret: true }),
      }),
      probe: async (_, { location = '' }) => ({
        candidates: location !== '/other' ? [] : [{ deviceConfig: { location }, complete: true, found: 'sr', sr: { uuid: otherSrUuid, name: 'other', vdis: 0 }, says: 'an SR in memory' }],
        tried: [{ step: `look at ${location}`, said: location === '/other' ? 'there is an SR' : 'nothing is there' }],
      }),
      prepare: async (_, dconf) => {
        if (dconf.location === '/full') throw new StorageError('placeNotBlank', `${dconf.location} holds something already`, { field: 'device_config.location', layer: 'driver:memory', remedy: 'Choose another place' })
      },
      adopt: async () => undefined,
      reidentify: async (_, __, want) => [{ vdi: copiedVdiUuid(otherSrUuid, asVdiUuid(vdiUuid)), original: asVdiUuid(vdiUuid) }].filter(() => want.original === srUuid),
      remove: async () => undefined,
      attach: async (ctx, dconf) => {
        ctx.log.info({ password: dconf.password }, `attaching with ${dconf.password}`)
        if (dconf.location === '/missing') throw new StorageError('placeMissing', `${dconf.location} is not there`, { layer: 'driver:memory' })
      },
      detach: async () => undefined,
      open: async () => ({
        features: everything,
        stat: async () => stat(),
        async scan(ctx) {
          ctx.progress(1, 4)
          await memory.gate?.pass(ctx.signal)
          return { stat: stat(), virtualAllocation: [...vdis.values()].reduce((sum, vdi) => sum + vdi.size, 0), vdis: [...vdis.values()] }
        },
        vdi: async (_, vdi) => vdis.get(vdi),
        attach: async (_, vdi) => ({ path: `/memory/${vdi}`, contentType: 'vhd' }),
        detach: async () => undefined,
        recover: async () => ({ replayed: [] }),
        close: async () => undefined,
        async create(ctx, want) {
          await memory.gate?.pass(ctx.signal)
          const { provisioning: _, ...rest } = want
          const vdi: VdiRecord = { ...rest, kind: 'disk', utilisation: 0, readOnly: false, format: 'raw' }
          vdis.set(vdi.uuid, vdi)
          return vdi
        },
        async destroy(_, vdi) {
          if (vdis.delete(vdi)) garbage.add(vdi)
        },
        async snapshot(ctx, want) {
          const copy: VdiRecord = { ...find(want.source), uuid: want.dest, name: want.name ?? '', kind: 'snapshot', readOnly: true, snapshotOf: want.source, snapshotMs: ctx.clock.now() }
          vdis.set(copy.uuid, copy)
          return copy
        },
        async clone(_, want) {
          const copy: VdiRecord = { ...find(want.source), uuid: want.dest, kind: 'disk', readOnly: false }
          vdis.set(copy.uuid, copy)
          return copy
        },
        async resize(_, vdi, size) {
          vdis.set(vdi, { ...find(vdi), size })
          return find(vdi)
        },
        async revert(_, vdi, snapshot) {
          vdis.set(vdi, { ...find(vdi), size: find(snapshot).size })
          return find(vdi)
        },
        readLock: async (_, vdi) => vdis.get(vdi)?.lock,
        async lock(ctx, vdi, want) {
          const held = find(vdi).lock
          if (held !== undefined && held.owner !== want.owner && !want.force) {
            throw new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${held.owner}`, { field: 'owner', layer: 'driver:memory', remedy: 'Let the owner unlock it', details: { owner: held.owner } })
          }
          const lock = { owner: want.owner, host: ctx.host.id, epoch: (held?.epoch ?? 0) + 1, sinceMs: ctx.clock.now(), ...(want.ttlMs === undefined ? {} : { expiresMs: ctx.clock.now() + want.ttlMs }) }
          vdis.set(vdi, { ...find(vdi), lock })
          return lock
        },
        async unlock(_, vdi) {
          const { lock, ...rest } = find(vdi)
          vdis.set(vdi, rest)
          return lock !== undefined
        },
        verify: async (_, vdi, repair) => (vdi === undefined ? [] : [{ vdi, where: `/memory/${vdi}`, weight: 'repairable', what: 'a bit is odd', repaired: repair !== 'no' }]),
        orphans: async () => [{ where: '/memory/stray', bytes: 512, why: 'nothing refers to it', collectable: false }],
        async setVdiNames(_, vdi, names) {
          vdis.set(vdi, { ...find(vdi), ...names })
        },
        setSrNames: async () => undefined,
        async backlog() {
          return [...garbage].map((vdi) => ({ action: 'remove' as const, vdi, needs: [vdi], bytes: 0 }))
        },
        async collect(_, step) {
          memory.collections += 1
          if (memory.collectFails !== undefined) throw memory.collectFails
          garbage.delete(step.vdi)
          return true
        },
      }),
    }),
  }
  return memory
}

const memoryRecords = (): HostRecords => {
  const srs = new Map<string, SrRecord>()
  const attachments = new Map<string, AttachmentRecord>()
  return {
    listSrs: () => [...srs.values()],
    sr: (uuid) => srs.get(uuid),
    putSr: (record) => void srs.set(record.uuid, record),
    removeSr: (uuid) => void srs.delete(uuid),
    attachments: (sr) => [...attachments].flatMap(([key, record]) => (key.startsWith(sr) ? [record] : [])),
    attachment: (sr, vdi) => attachments.get(`${sr} ${vdi}`),
    putAttachment: (sr, record) => void attachments.set(`${sr} ${record.vdi}`, record),
    removeAttachment: (sr, vdi) => void attachments.delete(`${sr} ${vdi}`),
  }
}

const never = async (): Promise<never> => {
  throw new Error('the memory driver needs no host')
}

/** No driver here touches the machine: every call of it would be a mistake. */
const host: Host = {
  id: 'host-1', bootId: 'boot-1', runDirectory: '/nowhere', run: never, scanner: { images: never, texts: never }, exclusive: never,
  isolate: () => {
    throw new Error('the memory driver needs no host')
  },
  files: { list: never, stat: never, space: never, readText: never, open: never, create: never, rename: never, link: never, unlink: never, mkdir: never, rmdir: never, syncDirectory: never },
}

/** 2026-01-02T03:04:05Z, and it stays: goldens depend on it. */
const fixedTime = Date.UTC(2026, 0, 2, 3, 4, 5)

export interface EngineForTests {
  readonly engine: Engine
  readonly memory: Memory
}

export const createMemoryEngine = (log: Log = silentLog, onTrace?: (trace: CallTrace) => void, arrays?: Arrays): EngineForTests => {
  const memory = createMemory()
  const engine = createEngine({
    drivers: {
      types: ['memory'],
      load: async (type) => {
        if (type !== 'memory') throw new StorageError('invalidArgument', `There is no SR type ${JSON.stringify(type)}`, { field: 'type', layer: 'engine' })
        return memory.driver
      },
    },
    ...(arrays === undefined ? {} : { arrays, siteRecovery: answerInEngine }),
    host: arrays === undefined ? host : { ...host, exclusive: async () => ({ release: () => undefined }) }, locks: createLockTable(), records: memoryRecords(), clock: { now: () => fixedTime },
    log, version: '0.0.0-test', stateDirectory: '/nowhere', lockWaitMs: 5000,
    ...(onTrace === undefined ? {} : { onTrace }),
  })
  return { engine, memory }
}

/** Creates and attaches the one SR of the tests. */
export const attachSr = async (engine: Engine): Promise<void> => {
  await engine.call('SR.create', { sr_uuid: srUuid, type: 'memory', device_config: { location: '/memory', password: secret } })
  await engine.call('SR.attach', { sr_uuid: srUuid, type: 'memory', device_config: { location: '/memory', password: secret } })
}

export const temporaryDirectory = (): { readonly path: string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), 'smd-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Waits for a condition, with a generous ceiling. */
export const until = async (holds: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const end = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`gave up waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
