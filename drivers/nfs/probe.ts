/** What a server exports, and what SRs lie there. Everything is looked at through a read-only mount of its own. */
import type { Candidate, Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { parseDconf } from '../../core/define-driver.ts'
import { toStorageError } from '../../core/errors.ts'
import { asSrUuid, isUuid } from '../../core/ids.ts'
import type { Files } from '../../core/ports.ts'
import { showmountCommand } from '../../host/nfs/build.ts'
import { parseShowmount, type NfsExport } from '../../host/nfs/parse.ts'
import { lookAt } from '../../stores/image-files/prepare.ts'
import { NfsDconf, NfsServerOnly } from './dconf.ts'
import { chooseVersion, layer, withShare } from './reach.ts'

type Tried = { step: string; said: string }[]

const showmountTimeoutMs = 10_000

/** Tries one way of asking; none when it leads nowhere, and why. A missing tool is no answer of the server. */
const attempt = async (ctx: Ctx, tried: Tried, step: string, ask: () => Promise<readonly NfsExport[]>): Promise<readonly NfsExport[]> => {
  try {
    const found = await ask()
    tried.push({ step, said: found.map(({ path, clients }) => `${path} (${clients})`).join(', ') || 'nothing' })
    return found
  } catch (error) {
    ctx.signal.throwIfAborted()
    const failure = toStorageError(error, layer)
    if (failure.kind === 'toolMissing' || failure.kind === 'driverBug') throw failure
    tried.push({ step, said: failure.message })
    return []
  }
}

const listDirectories = async (files: Files, directory: string): Promise<readonly string[]> => {
  const found: string[] = []
  for (const name of ((await files.list(directory)) ?? []).toSorted()) if ((await files.stat(`${directory}/${name}`))?.kind === 'directory') found.push(name)
  return found
}

/** The mount daemon of NFSv3 knows all exports; a server of NFSv4 only shows them as a tree. */
const listExports = async (ctx: Ctx, dconf: Omit<NfsDconf, 'serverpath'>, given: DeviceConfig): Promise<ProbeResult> => {
  const tried: Tried = []
  const version = await chooseVersion(ctx, dconf)
  tried.push({ step: `ask ${dconf.server} whether it speaks NFS`, said: version === '3' ? 'version 3' : 'version 4' })
  const told = await attempt(ctx, tried, `showmount ${dconf.server}`, async () => parseShowmount((await ctx.host.run(showmountCommand(dconf.server, showmountTimeoutMs), ctx.signal)).stdout))
  const exports = told.length > 0 || version === '3'
    ? told
    : await attempt(ctx, tried, `mount ${dconf.server}:/ and list it`, async () => withShare(ctx, { ...dconf, serverpath: '/' }, 'look', async ({ files }, directory) =>
      (await listDirectories(files, directory)).map((name) => ({ path: `/${name}`, clients: '*' }))))
  return {
    tried,
    candidates: exports.map(({ path, clients }) => ({
      deviceConfig: { ...given, serverpath: path }, complete: false, found: 'unknown', says: `${path} is exported to ${clients === '*' ? 'everybody' : clients}; probe it with serverpath=${path} to look into it`,
    })),
  }
}

/** One directory named by a uuid. An SR is known by the name of its directory, so nothing else in there can be adopted. */
const candidateOf = async (files: Files, deviceConfig: DeviceConfig, path: string, name: string): Promise<Candidate> => {
  const uuid = asSrUuid(name)
  const base = { deviceConfig, complete: true }
  try {
    const { found, says, sr } = await lookAt(files, path)
    if (found === 'sr' && sr?.uuid !== uuid) return { ...base, found: 'occupied', says: `The directory ${name} holds another SR: ${says}` }
    if (found === 'blank') return { ...base, found: 'occupied', says: `The directory ${name} is empty: an SR of that uuid was begun, or made there by hand` }
    return { ...base, found, says: found === 'sr' ? says : `The directory ${name}: ${says}`, ...(found === 'sr' || found === 'adoptable' ? { sr: { ...sr, uuid } } : {}) }
  } catch (error) {
    return { ...base, found: 'unknown', says: `The directory ${name} cannot be read: ${toStorageError(error, layer).message}` }
  }
}

const lookInto = async (ctx: Ctx, dconf: NfsDconf, given: DeviceConfig): Promise<ProbeResult> => {
  const share = `${dconf.server}:${dconf.serverpath}`
  return withShare(ctx, dconf, 'look', async ({ files }, directory) => {
    const names = await listDirectories(files, directory)
    const candidates: Candidate[] = []
    for (const name of names.filter(isUuid)) {
      ctx.signal.throwIfAborted()
      candidates.push(await candidateOf(files, given, `${directory}/${name}`, name))
    }
    const place: Candidate = { deviceConfig: given, complete: true, found: 'blank', says: `A new SR can be made in ${share}, as a directory named by its uuid` }
    return { candidates: [...candidates, place], tried: [{ step: `mount ${share} read-only and list it`, said: `${names.length} directories, ${candidates.length} of them named by a uuid` }] }
  })
}

export const probe = async (ctx: Ctx, partial: DeviceConfig): Promise<ProbeResult> => {
  if (partial['server'] === undefined) {
    return { candidates: [{ deviceConfig: { ...partial }, complete: false, found: 'unknown', says: 'Give server, the NFS server to look at' }], tried: [{ step: 'look for a server', said: 'none was given' }] }
  }
  if (partial['serverpath'] === undefined) return listExports(ctx, parseDconf('nfs', NfsServerOnly, partial), partial)
  return lookInto(ctx, parseDconf('nfs', NfsDconf, partial), partial)
}
