/** An opened SR: everything that can be done with the files of one directory. */
import type { CopyRequest, Ctx, SrContents, SrCore, SrStat, SrWith, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { OpenFile } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'
import { isLocked } from '../../core/wire.ts'
import { isIdentity, readIdentity, writeIdentity } from './identity.ts'
import { jsonOf, lockOf, rawOf, readVdi, readVdiFile, uuidOf, writeVdiFile, type VdiFile } from './vdi-file.ts'

type Place = SrCore & SrWith<'create' | 'destroy' | 'snapshot' | 'clone' | 'resize' | 'revert' | 'names' | 'lock' | 'collect' | 'verify'>

const chunk = MiB
const zeros = new Uint8Array(chunk)

/** An unreachable directory must never look like an empty SR. */
const namesIn = async (ctx: Ctx, location: string): Promise<readonly string[]> => {
  const names = await ctx.host.files.list(location)
  if (names?.some(isIdentity) === true) return names
  throw new StorageError('placeMissing', `The SR is no longer in ${location}`, { layer: 'driver:template', remedy: 'Mount it again; nothing was lost by this' })
}

const needVdi = <T>(found: T | undefined, vdi: VdiUuid): T => {
  if (found === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`, { field: 'vdi_uuid', layer: 'driver:template', remedy: 'smctl sr scan lists them' })
  return found
}

/** Makes a file anew, filled by `fill`, and durable with its name. What a crash left under that name is nobody's. */
const makeFile = async (ctx: Ctx, location: string, name: string, fill: (file: OpenFile) => Promise<void>): Promise<void> => {
  await ctx.host.files.unlink(`${location}/${name}`)
  const file = await ctx.host.files.create(`${location}/${name}`)
  try {
    await fill(file)
    await file.sync()
  } finally {
    await file.close()
  }
  await ctx.host.files.syncDirectory(location)
}

/** Copies content; holes stay holes. */
const copyInto = async (ctx: Ctx, from: string, to: OpenFile): Promise<void> => {
  const source = await ctx.host.files.open(from, 'read')
  try {
    const size = await source.length()
    await to.truncate(size)
    for (let at = 0; at < size; at += chunk) {
      ctx.signal.throwIfAborted()
      const bytes = await source.read(at, Math.min(chunk, size - at))
      if (Buffer.compare(bytes, zeros.subarray(0, bytes.length)) !== 0) await to.write(at, bytes)
      ctx.progress(at + bytes.length, size)
    }
  } finally {
    await source.close()
  }
}

/** Handed out as methods of one SR; `location` is proven to be it. Needs no journal: each change becomes true by one rename. */
export const openPlace = (location: string): Place => {
  const read = async (ctx: Ctx, vdi: VdiUuid): Promise<VdiRecord> => needVdi(await readVdi(ctx, location, vdi), vdi)

  const update = async (ctx: Ctx, vdi: VdiUuid, change: (file: VdiFile) => VdiFile): Promise<void> =>
    writeVdiFile(ctx, location, vdi, change(needVdi(await readVdiFile(ctx, location, vdi), vdi)))

  /** 1. the content, durable; 2. the json that makes it a VDI. A crash before 2 leaves garbage for the collector. */
  const copy = async (ctx: Ctx, want: CopyRequest, kind: 'disk' | 'snapshot'): Promise<VdiRecord> => {
    const source = needVdi(await readVdiFile(ctx, location, want.source), want.source)
    await makeFile(ctx, location, `${want.dest}.raw`, async (file) => copyInto(ctx, rawOf(location, want.source), file))
    await writeVdiFile(ctx, location, want.dest, {
      kind, shareable: false, name: want.name ?? source.name, description: want.description ?? source.description,
      ...(kind === 'snapshot' ? { snapshotOf: want.source, snapshotMs: ctx.clock.now() } : {}),
    })
    return read(ctx, want.dest)
  }

  const garbage = async (ctx: Ctx): Promise<readonly VdiUuid[]> => {
    const names = new Set(await namesIn(ctx, location))
    return [...names].flatMap((name) => uuidOf(name, '.raw') ?? []).filter((vdi) => !names.has(`${vdi}.json`)).sort()
  }

  const stat = async (ctx: Ctx): Promise<SrStat> => {
    const identity = await readIdentity(ctx, location)
    const names = await namesIn(ctx, location)
    const raws = await Promise.all(names.filter((name) => name.endsWith('.raw')).map(async (name) => ctx.host.files.stat(`${location}/${name}`)))
    const { total, free } = await ctx.host.files.space(location)
    return { physicalSize: total, free, physicalUtilisation: raws.reduce((sum, facts) => sum + (facts?.allocated ?? 0), 0), name: identity?.name ?? '', description: identity?.description ?? '' }
  }

  const scan = async (ctx: Ctx): Promise<SrContents> => {
    const found = (await namesIn(ctx, location)).flatMap((name) => uuidOf(name, '.json') ?? []).sort()
    const vdis = (await Promise.all(found.map(async (vdi) => readVdi(ctx, location, vdi)))).filter((vdi) => vdi !== undefined)
    return { stat: await stat(ctx), virtualAllocation: vdis.reduce((sum, vdi) => sum + vdi.size, 0), vdis }
  }

  return {
    stat,
    scan,

    vdi: async (ctx, vdi) => {
      await namesIn(ctx, location)
      return readVdi(ctx, location, vdi)
    },

    async attach(ctx, vdi) {
      await read(ctx, vdi)
      return { path: rawOf(location, vdi), contentType: 'aio' }
    },

    detach: async () => undefined,

    /** Half-written files were never anything. With a VDI's lock alone, its own are replaced when they are written next. */
    async recover(ctx, vdi) {
      if (vdi !== undefined) return { replayed: [] }
      const left = (await namesIn(ctx, location)).filter((name) => name.endsWith('.tmp'))
      for (const name of left) await ctx.host.files.unlink(`${location}/${name}`)
      if (left.length > 0) await ctx.host.files.syncDirectory(location)
      return { replayed: left.map((name) => `removed ${name}, which was never finished`) }
    },

    close: async () => undefined,

    async create(ctx, want) {
      await makeFile(ctx, location, `${want.uuid}.raw`, async (file) => {
        await file.truncate(want.size)
        for (let at = 0; want.provisioning === 'full' && at < want.size; at += chunk) {
          ctx.signal.throwIfAborted()
          await file.write(at, zeros.subarray(0, Math.min(chunk, want.size - at)))
          ctx.progress(at, want.size)
        }
      })
      await writeVdiFile(ctx, location, want.uuid, { kind: 'disk', name: want.name, description: want.description, shareable: want.shareable })
      return read(ctx, want.uuid)
    },

    /** 1. the json: there is no VDI from here on; 2. the content. A crash between leaves garbage for the collector. */
    async destroy(ctx, vdi) {
      const gone = await ctx.host.files.unlink(jsonOf(location, vdi))
      if (gone) await ctx.host.files.syncDirectory(location)
      if (await ctx.host.files.unlink(rawOf(location, vdi))) await ctx.host.files.syncDirectory(location)
    },

    snapshot: async (ctx, want) => copy(ctx, want, 'snapshot'),
    clone: async (ctx, want) => copy(ctx, want, 'disk'),

    /** One step: a longer file is a larger VDI, and what was never written reads as zeros. */
    async resize(ctx, vdi, size) {
      const file = await ctx.host.files.open(rawOf(location, vdi), 'write')
      try {
        await file.truncate(size)
        await file.sync()
      } finally {
        await file.close()
      }
      return read(ctx, vdi)
    },

    /** 1. a copy beside it, durable; 2. one rename puts it in place. A crash before 2 leaves a file that recovery removes. */
    async revert(ctx, vdi, snapshot) {
      const temporary = `${vdi}.raw.tmp`
      await makeFile(ctx, location, temporary, async (file) => copyInto(ctx, rawOf(location, snapshot), file))
      await ctx.host.files.rename(`${location}/${temporary}`, rawOf(location, vdi))
      await ctx.host.files.syncDirectory(location)
      return read(ctx, vdi)
    },

    async setVdiNames(ctx, vdi, names) {
      await update(ctx, vdi, (file) => ({ ...file, ...names }))
    },

    async setSrNames(ctx, names) {
      const identity = await readIdentity(ctx, location)
      await writeIdentity(ctx, location, { uuid: ctx.sr, name: names.name ?? identity?.name ?? '', description: names.description ?? identity?.description ?? '' }, 'replace')
    },

    readLock: async (ctx, vdi) => {
      const file = await readVdiFile(ctx, location, vdi)
      return file === undefined ? undefined : lockOf(file)
    },

    async lock(ctx, vdi, want) {
      const file = needVdi(await readVdiFile(ctx, location, vdi), vdi)
      const held = lockOf(file)
      const now = ctx.clock.now()
      if (held !== undefined && held.owner !== want.owner && isLocked(held, now) && !want.force) {
        throw new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${held.owner} on host ${held.host}`, {
          field: 'owner', layer: 'driver:template', remedy: 'Let the owner unlock it; use force only when it is known to be dead', details: { owner: held.owner, host: held.host, epoch: held.epoch },
        })
      }
      const refreshed = held !== undefined && held.owner === want.owner
      const lock = {
        owner: want.owner, host: ctx.host.id, epoch: refreshed ? held.epoch : (file.lock?.epoch ?? 0) + 1, sinceMs: refreshed ? held.sinceMs : now,
        ...(want.ttlMs === undefined ? {} : { expiresMs: now + want.ttlMs }),
      }
      await writeVdiFile(ctx, location, vdi, { ...file, lock })
      return lock
    },

    async unlock(ctx, vdi, owner) {
      const file = needVdi(await readVdiFile(ctx, location, vdi), vdi)
      const held = lockOf(file)
      if (held === undefined || (held.owner !== owner && !isLocked(held, ctx.clock.now()))) return false
      if (held.owner !== owner) {
        throw new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${held.owner} on host ${held.host}, not by ${owner}`, { field: 'owner', layer: 'driver:template', remedy: 'Unlock it as its owner', details: { owner: held.owner, host: held.host, epoch: held.epoch } })
      }
      await writeVdiFile(ctx, location, vdi, { ...file, lock: { host: held.host, epoch: held.epoch, sinceMs: held.sinceMs } })
      return true
    },

    async backlog(ctx) {
      const left = await garbage(ctx)
      const facts = await Promise.all(left.map(async (vdi) => ctx.host.files.stat(rawOf(location, vdi))))
      return left.map((vdi, index) => ({ action: 'remove', vdi, needs: [], bytes: facts[index]?.allocated ?? 0 }))
    },

    async collect(ctx, step) {
      await ctx.host.files.unlink(rawOf(location, step.vdi))
      await ctx.host.files.syncDirectory(location)
      return true
    },

    async verify(ctx, vdi) {
      const { vdis } = await scan(ctx)
      return vdis.filter((row) => row.problem !== undefined && (vdi === undefined || row.uuid === vdi)).map((row) => ({ vdi: row.uuid, where: jsonOf(location, row.uuid), weight: 'damage', what: row.problem?.message ?? '', repaired: false }))
    },

    async orphans(ctx) {
      const names = await namesIn(ctx, location)
      const left = new Set<string>(await garbage(ctx))
      const odd = names.filter((name) => !isIdentity(name) && uuidOf(name, '.json') === undefined && (uuidOf(name, '.raw') === undefined || left.has(name.slice(0, -4))))
      return Promise.all(odd.map(async (name) => {
        const collectable = left.has(name.slice(0, -4))
        return { where: `${location}/${name}`, bytes: (await ctx.host.files.stat(`${location}/${name}`))?.allocated ?? 0, why: collectable ? 'content of no VDI' : 'not a file of this SR', collectable }
      }))
    },
  }
}
