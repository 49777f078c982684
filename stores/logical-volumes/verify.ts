/** Checks an SR beyond what a scan sees. Reads only: what can be mended without doubt, recovery has mended before. */
import type { Ctx, Finding, Orphan } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { checkGroup, listPhysical } from '../../host/lvm/build.ts'
import { parsePhysical } from '../../host/lvm/parse.ts'
import { recordOf, type Contents } from './contents.ts'
import { groupTags } from './report.ts'
import { contentsOf, type Store } from './store.ts'

const finding = (weight: Finding['weight'], where: string, what: string, vdi?: VdiUuid): Finding => ({ weight, where, what, repaired: false, ...(vdi === undefined ? {} : { vdi }) })

const vdiFindings = (contents: Contents, only: VdiUuid | undefined): readonly Finding[] =>
  [...contents.vdis.values()].filter(({ vdi }) => only === undefined || vdi === only).flatMap((found) => {
    const { problem, warnings = [] } = recordOf(found, contents.pool)
    return [
      ...(problem === undefined ? [] : [finding('damage', found.volume.name, problem.message, found.vdi)]),
      ...warnings.map((what) => finding('note', found.volume.name, what, found.vdi)),
    ]
  })

/** vgck reads every copy of the metadata and compares them. */
const groupFindings = async (store: Store, ctx: Ctx): Promise<readonly Finding[]> => {
  const { vg } = store.at
  try {
    const { stderr } = await ctx.host.run(checkGroup(store.at), ctx.signal)
    return stderr.split('\n').filter((line) => /WARNING/.test(line)).map((line) => finding('note', vg, line.trim()))
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'toolFailed') throw error
    return [finding('damage', vg, `vgck: ${String(error.facts.details?.['stderr'] ?? error.message).trim()}`)]
  }
}

const deviceFindings = async (store: Store, ctx: Ctx): Promise<readonly Finding[]> => {
  const pvs = parsePhysical((await ctx.host.run(listPhysical(store.at.devices), ctx.signal)).stdout).filter((pv) => pv.group?.name === store.at.vg)
  return pvs.flatMap((pv) => [
    ...(pv.missing ? [finding('damage', pv.uuid ?? pv.device, `The physical volume ${pv.uuid ?? ''} is missing`)] : []),
    // LVM needs the new text beside the old one: at half the area it is full.
    ...(!pv.missing && pv.metadataSize > 0 && pv.metadataFree < pv.metadataSize / 8 ? [finding('note', pv.device, `Only ${pv.metadataFree} bytes are left for LVM's metadata: no more VDIs fit`)] : []),
  ])
}

export const verifySr = async (store: Store, ctx: Ctx, vdi: VdiUuid | undefined): Promise<readonly Finding[]> => {
  const contents = await contentsOf(store, ctx)
  const ofVdis = vdiFindings(contents, vdi)
  if (vdi !== undefined) return ofVdis
  // Its devices leave it one by one.
  if (groupTags(contents.report.group).state === 'removing') return [...ofVdis, finding('note', store.at.vg, 'The SR is being deleted')]
  const poolState = contents.pool?.attributes.pool
  return [
    ...ofVdis,
    ...(poolState === undefined ? [] : [finding('damage', contents.pool?.name ?? '', `The thin pool: ${poolState}`)]),
    ...(await deviceFindings(store, ctx)),
    ...(await groupFindings(store, ctx)),
  ]
}

export const orphansOf = async (store: Store, ctx: Ctx): Promise<readonly Orphan[]> => {
  const { foreign, toWipe, unfinished, halfMade } = await contentsOf(store, ctx)
  return [
    ...foreign.map((volume) => ({ where: `${store.at.vg}/${volume.name}`, bytes: volume.size, why: 'A volume that is none of this SR', collectable: false })),
    ...halfMade.map((volume) => ({ where: `${store.at.vg}/${volume.name}`, bytes: volume.size, why: 'A VDI whose creation was not finished', collectable: true })),
    ...toWipe.map(({ volume }) => ({ where: `${store.at.vg}/${volume.name}`, bytes: volume.size, why: 'A deleted VDI that waits to be overwritten', collectable: true })),
    ...unfinished.filter(({ present, old }) => !present && !old).map(({ vdi }) => ({ where: `${store.at.vg}/RV-${vdi}`, bytes: 0, why: 'The replacement of a VDI that is gone', collectable: false })),
  ]
}
