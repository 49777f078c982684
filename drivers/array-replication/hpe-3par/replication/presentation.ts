/** Presenting many volumes at once to initiators as they are given: hosts are looked up once, exports that are there are left. */
import type { StartTest } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import { endExport, exportTo, hostsOf, makeHost, pathsOf } from '../access.ts'
import type { Near } from '../near.ts'
import { digest, prefixes } from '../tags.ts'
import { exportsOf, groupOf } from '../volumes.ts'
import { layer } from '../wsapi/layer.ts'
import { byInitiators } from '../wsapi/query.ts'

type Initiators = StartTest['initiators']

/** Initiators that no host of the array has become one host, named after them. */
const groupsFor = async (ctx: ArrayCtx, near: Near, initiators: Initiators[string]): Promise<readonly string[]> => {
  const paths = pathsOf(initiators)
  if (paths.FCWWNs.length + paths.iSCSINames.length === 0) return []
  const { hosts, missing } = await hostsOf(ctx, near, paths, byInitiators(paths.FCWWNs, paths.iSCSINames))
  if (missing.FCWWNs.length + missing.iSCSINames.length === 0) return hosts
  const name = `${prefixes.host}${digest(20, ...missing.FCWWNs, ...missing.iSCSINames)}`
  await makeHost(ctx, near, name, missing)
  return [...hosts, name]
}

/** Requests: one for the hosts of each distinct list, one for the exports, and one for each export that is missing. */
export const presentTo = async (ctx: ArrayCtx, near: Near, volumes: readonly { readonly key: string; readonly volume: string }[], initiators: Initiators): Promise<void> => {
  const known = new Map<Initiators[string], readonly string[]>()
  const there = new Set((await exportsOf(ctx, near, volumes.map(({ volume }) => volume))).map((vlun) => `${vlun.volumeName} ${groupOf(vlun)}`))
  for (const { key, volume } of volumes) {
    const list = Object.hasOwn(initiators, key) ? initiators[key] : initiators['']
    if (list === undefined) continue
    const groups = known.get(list) ?? await groupsFor(ctx, near, list)
    known.set(list, groups)
    for (const group of groups) if (!there.has(`${volume} ${group}`)) await exportTo(ctx, near, volume, group)
  }
}

/** Takes every export away and reads back that none is left. */
export const endTemplates = async (ctx: ArrayCtx, near: Near, volumes: readonly string[]): Promise<void> => {
  const there = await exportsOf(ctx, near, volumes)
  if (there.length === 0) return
  for (const vlun of there) await endExport(ctx, near, vlun)
  const left = await exportsOf(ctx, near, volumes)
  if (left.length === 0) return
  throw new StorageError('stillPresented', `Volumes are still presented: ${left.slice(0, 5).map((vlun) => `${vlun.volumeName} to ${groupOf(vlun)}`).join(', ')}`, {
    layer, mayHaveChanged: true, remedy: 'See who presents them again, then repeat it', details: { exports: left.length },
  })
}
