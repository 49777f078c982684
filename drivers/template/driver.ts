/**
 * The template that authors copy: an SR in one directory, a VDI in one raw file. It is complete (every feature of the
 * contract, crashes included) and as simple as that can be; docs/writing-a-driver.md walks through it.
 */
import * as z from 'zod'
import { contractVersion, type Ctx, type ProbeResult } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { StorageError } from '../../core/errors.ts'
import { TiB } from '../../core/units.ts'
import { openPlace } from './place.ts'
import { isIdentity, readIdentity, writeIdentity } from './identity.ts'

const features = ['create', 'destroy', 'snapshot', 'clone', 'resize', 'revert', 'names', 'lock', 'collect', 'verify'] as const

const dconf = z.strictObject({
  location: z.string().regex(/^\/[^\0]*$/, 'must be a full path').meta({ description: 'Directory that is the SR; it must exist', examples: ['/srv/disks'] }),
})

/** What is in the directory, without changing anything. */
const probe = async (ctx: Ctx, location: string): Promise<ProbeResult> => {
  const deviceConfig = { location }
  const tried = (said: string): ProbeResult['tried'] => [{ step: `list ${location}`, said }]
  const names = await ctx.host.files.list(location)
  if (names === undefined) return { candidates: [], tried: tried('there is no such directory') }
  const identity = await readIdentity(ctx, location)
  if (identity !== undefined) {
    const vdis = names.filter((name) => name.endsWith('.raw')).length
    const { uuid, name, description } = identity
    return { candidates: [{ deviceConfig, complete: true, found: 'sr', sr: { uuid, name, description, vdis }, says: `SR ${uuid} with ${vdis} VDIs` }], tried: tried('it holds an SR') }
  }
  const foreign = names.filter((name) => !isIdentity(name))
  return foreign.length === 0
    ? { candidates: [{ deviceConfig, complete: true, found: 'blank', says: 'An empty directory' }], tried: tried('it is empty') }
    : { candidates: [{ deviceConfig, complete: false, found: 'occupied', says: `It holds ${foreign.length} other files, such as ${foreign[0] ?? ''}` }], tried: tried(`${foreign.length} other files`) }
}

/** Reaches the SR, or says precisely why not. */
const prove = async (ctx: Ctx, location: string): Promise<void> => {
  if ((await ctx.host.files.stat(location)) === undefined) {
    throw new StorageError('placeMissing', `There is no directory ${location}`, { field: 'device_config.location', layer: 'driver:template', remedy: 'Mount or create it, then try again' })
  }
  const identity = await readIdentity(ctx, location)
  if (identity === undefined) {
    throw new StorageError('notFound', `There is no SR in ${location}`, { field: 'device_config.location', layer: 'driver:template', remedy: `smctl sr probe template location=${location} shows what is there` })
  }
  if (identity.uuid !== ctx.sr) {
    throw new StorageError('identityMismatch', `${location} holds SR ${identity.uuid}, not ${ctx.sr}`, { field: 'sr_uuid', layer: 'driver:template', remedy: `smctl sr attach ${identity.uuid}` })
  }
}

export default defineDriver({
  type: 'template',
  executable: 'Template',
  title: 'Raw files in a directory',
  summary: 'An example for authors: one directory is the SR, one file a VDI',
  contract: contractVersion,
  features,
  srOperations: ['create', 'delete'],
  contentType: 'aio',
  limits: { shared: false, minVdiSize: 4096, maxVdiSize: 2 * TiB, sizeStep: 4096 },
  defaultVdiVisibility: true,
  tools: [],
  example: { location: '/srv/disks' },
  dconf,

  probe: async (ctx, partial) =>
    partial['location'] === undefined ? { candidates: [], tried: [{ step: 'read device_config', said: 'location is missing' }] } : probe(ctx, partial['location']),

  /**
   * 1. write the identity under a name of its own, durably  - a crash here leaves a directory that still counts as empty
   * 2. link it to the name that counts                      - only one of two that try at once can
   * 3. remove the first name                                - a crash here leaves both, recovery removes it
   */
  async prepare(ctx, { location }, want) {
    const { candidates, tried } = await probe(ctx, location)
    const found = candidates[0]
    if (found === undefined) {
      throw new StorageError('placeMissing', `${location}: ${tried[0]?.said ?? ''}`, { field: 'device_config.location', layer: 'driver:template', remedy: 'Create the directory first' })
    }
    if (found.found !== 'blank') {
      throw new StorageError(found.found === 'sr' ? 'alreadyExists' : 'placeNotBlank', `${location} is not empty: ${found.says}`, { field: 'device_config.location', layer: 'driver:template', remedy: 'Choose an empty directory' })
    }
    await writeIdentity(ctx, location, { uuid: ctx.sr, name: want.name, description: want.description }, 'new')
  },

  /** The identity goes last: until then a crash leaves an SR that can be removed again. Files of others are never touched. */
  async remove(ctx, { location }) {
    const names = (await ctx.host.files.list(location)) ?? []
    const foreign = names.filter((name) => !isIdentity(name))
    if (foreign.length > 0) {
      throw new StorageError('notEmpty', `${location} holds ${foreign.length} files that are no VDIs, such as ${foreign[0] ?? ''}`, { layer: 'driver:template', remedy: 'Move them away first' })
    }
    for (const name of [...names].sort().reverse()) await ctx.host.files.unlink(`${location}/${name}`)
    if (names.length > 0) await ctx.host.files.syncDirectory(location)
  },

  /** A creation that was killed may have left an identity that a power cut still takes away: what is believed here must stay. */
  async attach(ctx, { location }) {
    await prove(ctx, location)
    await ctx.host.files.syncDirectory(location)
  },

  // A directory needs nothing to be taken away, neither of the SR nor of a VDI.
  detach: async () => undefined,
  letGo: async () => undefined,

  async open(ctx, { location }) {
    await prove(ctx, location)
    return { features, ...openPlace(location) }
  },
})
