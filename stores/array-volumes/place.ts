/** An SR on an array: its pool, and the text there that makes it one. */
import type { Candidate, Ctx, DeviceConfig, PrepareRequest, ProbeResult } from '../../core/contract.ts'
import { reportError, StorageError, toStorageError } from '../../core/errors.ts'
import { asSrUuid, type SrUuid } from '../../core/ids.ts'
import type { OpenArray } from '../../core/array/contract.ts'
import { formatSize } from '../../core/units.ts'
import { keys, readKey } from './names.ts'
import { layer, parseSr, readNotes, type Notes, type SrNote } from './notes.ts'
import type { Pool, Side, Sides } from './sides.ts'

type Texts = NonNullable<OpenArray['metadata']>

export const textsOf = ({ array, name }: Pick<Side, 'array' | 'name'>): Texts => {
  if (array.metadata !== undefined && array.access !== undefined) return array.metadata
  throw new StorageError('notSupported', `${name} is an array of type ${array.type}, which ${array.access === undefined ? 'presents no volumes' : 'keeps no texts'}: it cannot hold an SR`, { layer, field: 'device_config.backend', remedy: 'Use another array' })
}

interface Found {
  readonly uuid: SrUuid
  readonly note: SrNote
}

/** All SRs on an array. */
const srsOn = async (ctx: Ctx, side: Side): Promise<readonly Found[]> =>
  [...(await textsOf(side).list(ctx, keys.all))].flatMap(([key, text]) => {
    const read = readKey(key)
    return read?.kind === 'sr' ? [{ uuid: asSrUuid(read.sr), note: parseSr(key, text) }] : []
  })

const isHere = (pool: Pool, note: SrNote): boolean => note.pool === pool.cpg && note.group === pool.group

const needPool = async (ctx: Ctx, { array, name }: Side, pool: Pool): Promise<{ readonly free: number }> => {
  const pools = await array.pools(ctx)
  const found = pools.find(({ id }) => id === pool.cpg)
  if (found !== undefined) return { free: found.freeSize }
  throw new StorageError('placeMissing', `${name} has no pool ${pool.cpg}`, { layer, field: 'device_config.cpg', remedy: `It has: ${pools.map(({ id }) => id).join(', ') || 'none'}` })
}

/** Texts of a replicated SR are on both arrays; the active one decides. A peer that is silent gets them when the SR is attached the next time. */
export const onBoth = async (ctx: Ctx, { active, other }: Sides, change: (texts: Texts) => Promise<unknown>): Promise<void> => {
  await change(textsOf(active))
  if (other === undefined) return
  try {
    await change(textsOf(other))
  } catch (error) {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ array: other.name, left: toStorageError(error, layer).message }, 'the other array was not told; it is when the SR is attached again')
  }
}

/** sr_create: one text on the array, which the array gives to one caller only. Nothing else is touched. */
export const prepareSr = async (ctx: Ctx, pool: Pool, sides: Sides, want: PrepareRequest): Promise<void> => {
  const { free } = await needPool(ctx, sides.active, pool)
  if (want.size > free) throw new StorageError('noSpace', `Pool ${pool.cpg} of ${sides.active.name} has ${formatSize(free)} left, not ${formatSize(want.size)}`, { layer, field: 'size', remedy: 'Leave size out, or make room in the pool', details: { size: want.size, free } })
  if (pool.group !== undefined && sides.other === undefined) throw sides.silent ?? new StorageError('invalidArgument', 'A replicated SR needs both arrays when it is created', { layer, field: 'device_config.peer', remedy: 'Name the other array: peer=NAME' })
  const there = await srsOn(ctx, sides.active)
  if (there.some(({ uuid }) => uuid === ctx.sr)) throw new StorageError('alreadyExists', `SR ${ctx.sr} exists already on ${sides.active.name}`, { layer, field: 'sr_uuid', remedy: `smctl sr attach ${ctx.sr}` })
  const taken = there.find(({ note }) => isHere(pool, note))
  if (taken !== undefined) {
    throw new StorageError('placeNotBlank', `Pool ${pool.cpg}${pool.group === undefined ? '' : ` with group ${pool.group}`} of ${sides.active.name} is SR ${taken.uuid} already`, {
      layer, field: 'device_config.cpg', remedy: `Attach that one (smctl sr attach ${taken.uuid}), or take another pool or group`, details: { sr_uuid: taken.uuid },
    })
  }
  const note: SrNote = { format: 1, name: want.name, description: want.description, pool: pool.cpg, ...(pool.group === undefined ? {} : { group: pool.group }) }
  if (!(await textsOf(sides.active).create(ctx, keys.sr(ctx.sr), JSON.stringify(note)))) throw new StorageError('alreadyExists', `SR ${ctx.sr} was made by another host just now`, { layer, field: 'sr_uuid', remedy: `smctl sr attach ${ctx.sr}` })
  if (sides.other !== undefined) await textsOf(sides.other).put(ctx, keys.sr(ctx.sr), JSON.stringify(note))
}

/** Everything that is kept of the SR on one side, and that it is this SR. */
export const readSr = async (ctx: Ctx, pool: Pool, side: Side): Promise<Notes & { readonly sr: SrNote }> => {
  const notes = readNotes(await textsOf(side).list(ctx, keys.sr(ctx.sr)))
  if (notes.sr === undefined) throw new StorageError('notFound', `There is no SR ${ctx.sr} on ${side.name}`, { layer, field: 'sr_uuid', remedy: `smctl sr probe array backend=${side.name} shows which there are` })
  if (isHere(pool, notes.sr)) return { ...notes, sr: notes.sr }
  throw new StorageError('identityMismatch', `SR ${ctx.sr} is pool ${notes.sr.pool}${notes.sr.group === undefined ? '' : ` with group ${notes.sr.group}`}, not ${pool.cpg}${pool.group === undefined ? '' : ` with group ${pool.group}`}`, {
    layer, field: 'device_config.cpg', remedy: 'Use the cpg and group it was created with',
  })
}

/** sr_delete of an empty SR: what is left of it are texts. The one that makes it an SR goes last. */
export const removeSr = async (ctx: Ctx, sides: readonly Side[]): Promise<void> => {
  for (const side of sides) {
    const texts = textsOf(side)
    const own = [...(await texts.list(ctx, keys.sr(ctx.sr))).keys()].filter((key) => key !== keys.sr(ctx.sr))
    for (const key of [...own, keys.sr(ctx.sr)]) await texts.remove(ctx, key)
  }
}

const says = (error: unknown): string => {
  const report = reportError(toStorageError(error, layer))
  return `${report.message}${report.remedy === undefined ? '' : ` (${report.remedy})`}`
}

const candidateOf = (partial: DeviceConfig, { uuid, note }: Found, vdis: number): Candidate => ({
  deviceConfig: { ...partial, cpg: note.pool, ...(note.group === undefined ? {} : { group: note.group }) },
  // A replicated one needs the name of the peer, which only its administrator knows.
  complete: note.group === undefined || partial['peer'] !== undefined, found: 'sr', sr: { uuid, name: note.name, description: note.description, vdis },
  says: `SR ${uuid}${note.name === '' ? '' : ` "${note.name}"`} in pool ${note.pool}${note.group === undefined ? '' : `, replicated in group ${note.group}${partial['peer'] === undefined ? '; name its peer: peer=NAME' : ''}`}`,
})

/** Step by step: which arrays this host knows, which pools one has and which SRs are in them. Nothing is written anywhere. */
export const probeArray = async (ctx: Ctx, partial: DeviceConfig): Promise<ProbeResult> => {
  const { backend, cpg, group } = partial
  const names = ctx.arrays.names()
  if (backend === undefined) {
    return {
      tried: [{ step: 'arrays', said: names.length === 0 ? 'This host knows none: smctl array add NAME TYPE key=value...' : `This host knows ${names.join(', ')}` }],
      candidates: names.map((name) => ({ deviceConfig: { ...partial, backend: name }, complete: false, found: 'unknown', says: `Array ${name}; probe with backend=${name} to see its pools` })),
    }
  }
  const tried: { step: string; said: string }[] = []
  try {
    const named = await ctx.arrays.open(ctx, backend)
    try {
      const side: Side = { ...named, name: backend, unit: undefined }
      const [info, pools, texts] = [await side.array.info(ctx), await side.array.pools(ctx), await textsOf(side).list(ctx, keys.all)]
      tried.push({ step: `array ${backend}`, said: `${info.name}, ${info.vendor} ${info.model}, ${info.health}` }, { step: 'pools', said: pools.map(({ id, freeSize }) => `${id} (${formatSize(freeSize)} free)`).join(', ') || 'none' })
      const srs = await srsOn(ctx, side)
      const vdisOf = (uuid: SrUuid): number => [...texts.keys()].filter((key) => key.startsWith(`${keys.sr(uuid)}.v.`)).length
      const wanted = srs.filter(({ note }) => (cpg === undefined || note.pool === cpg) && (group === undefined || note.group === group))
      tried.push({ step: 'SRs', said: wanted.map(({ uuid, note }) => `${uuid} in ${note.pool}${note.group === undefined ? '' : ` and ${note.group}`}`).join(', ') || 'none' })
      const blank = pools.filter(({ id }) => (cpg === undefined || id === cpg) && !srs.some(({ note }) => note.pool === id && note.group === group))
      return {
        tried,
        candidates: [
          ...wanted.map((found) => candidateOf(partial, found, vdisOf(found.uuid))),
          ...blank.map(({ id, freeSize }): Candidate => ({ deviceConfig: { ...partial, cpg: id }, complete: true, found: 'blank', says: `No SR in pool ${id}${group === undefined ? '' : ` with group ${group}`}; ${formatSize(freeSize)} free` })),
        ],
      }
    } finally {
      await named.array.close()
    }
  } catch (error) {
    ctx.signal.throwIfAborted()
    if (error instanceof StorageError && error.kind === 'invalidArgument') throw error
    return { candidates: [], tried: [...tried, { step: `array ${backend}`, said: says(error) }] }
  }
}
