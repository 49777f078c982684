/** The two halves of the SM API's law on repeats, call by call: what may be repeated, and what must fail the second time. */
import assert from 'node:assert/strict'
import type { Feature } from '../../../core/contract.ts'
import { methodNames, methodShape, type MethodName } from '../../../core/methods/index.ts'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import type { Case, Topic } from '../case.ts'
import { rejects, type Stage, type TestSr } from '../stage.ts'

interface Scene {
  readonly stage: Stage
  readonly sr: TestSr
  readonly vdi: VdiInfo
  readonly snapshot: string
}

const fresh = 'c9a0e5d4-0b1f-4c83-9f5e-7a2d61c0b3e8'

/** How each changing call is made. `size`: a new size, so that the first resize changes something. */
const calls: Readonly<Partial<Record<MethodName, (scene: Scene) => Promise<unknown>>>> = {
  'SR.create': async ({ stage, sr }) => stage.main.call('SR.create', { ...stage.place, sr_uuid: sr.uuid }),
  'SR.attach': async ({ sr }) => sr.call('SR.attach', {}),
  'SR.set_names': async ({ sr }) => sr.call('SR.set_names', { name: 'renamed' }),
  'SR.collect': async ({ sr }) => sr.call('SR.collect', {}),
  'SR.verify': async ({ sr }) => sr.call('SR.verify', { repair: 'yes' }),
  'VDI.create': async ({ sr, stage }) => sr.call('VDI.create', { vdi_uuid: fresh, size: stage.size }),
  'VDI.delete': async ({ sr, vdi }) => sr.call('VDI.delete', { vdi_uuid: vdi.uuid }),
  'VDI.attach': async ({ sr, vdi }) => sr.call('VDI.attach', { vdi_uuid: vdi.uuid }),
  'VDI.detach': async ({ sr, vdi }) => sr.call('VDI.detach', { vdi_uuid: vdi.uuid }),
  'VDI.snapshot': async ({ sr, vdi }) => sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, dest_uuid: fresh }),
  'VDI.clone': async ({ sr, vdi }) => sr.call('VDI.clone', { vdi_uuid: vdi.uuid, dest_uuid: fresh }),
  'VDI.resize': async ({ sr, vdi }) => sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size * 2 }),
  'VDI.revert': async ({ sr, vdi, snapshot }) => sr.call('VDI.revert', { vdi_uuid: vdi.uuid, snapshot_uuid: snapshot }),
  'VDI.unlock': async ({ sr, vdi }) => sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: 'host7/vm3' }),
  'VDI.set_names': async ({ sr, vdi }) => sr.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: 'renamed' }),
}

const featureOf = (method: MethodName): readonly Feature[] => {
  const { feature } = methodShape(method)
  return [...(feature === undefined ? [] : [feature]), ...(method === 'VDI.revert' ? ['snapshot' as const] : [])]
}

const sceneOf = async (stage: Stage): Promise<Scene> => {
  const sr = await stage.sr()
  const vdi = await sr.disk()
  await sr.stamp(vdi, 'kept')
  const snapshot = stage.features.has('snapshot') ? (await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })).uuid : ''
  if (stage.features.has('lock')) {
    await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'host7/vm3' })
    await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: 'host7/vm3' })
  }
  return { stage, sr, vdi: await sr.row(vdi.uuid), snapshot }
}

const repeatable = (method: MethodName, call: (scene: Scene) => Promise<unknown>): Case => ({
  name: `${method} three times changes as much as once`,
  needs: featureOf(method),
  async run(stage) {
    const scene = await sceneOf(stage)
    await call(scene)
    const once = await scene.sr.scan()
    for (let turn = 0; turn < 2; turn += 1) {
      await call(scene)
      assert.deepEqual((await scene.sr.scan()).vdis, once.vdis)
    }
    if (method === 'VDI.attach') await scene.sr.call('VDI.detach', { vdi_uuid: scene.vdi.uuid })
    if (method !== 'VDI.delete') await scene.sr.holds(scene.vdi, 'kept')
  },
})

const unrepeatable = (method: MethodName, call: (scene: Scene) => Promise<unknown>): Case => ({
  name: `${method} fails the second time and then changes nothing`,
  needs: featureOf(method),
  ...(method === 'SR.create' ? { needsSr: ['create' as const] } : {}),
  async run(stage) {
    const scene = await sceneOf(stage)
    if (method !== 'SR.create') await call(scene)
    const before = { contents: (await scene.sr.scan()).vdis, place: await stage.world.inventory() }
    for (let turn = 0; turn < 2; turn += 1) {
      await rejects('alreadyExists', call(scene))
      assert.deepEqual({ contents: (await scene.sr.scan()).vdis, place: await stage.world.inventory() }, before)
    }
    await scene.sr.holds(scene.vdi, 'kept')
  },
})

export const repeats: Topic = {
  topic: 'repeats',
  cases: methodNames.flatMap((method) => {
    const call = calls[method]
    if (call === undefined) return []
    return [methodShape(method).repeat === 'fails' ? unrepeatable(method, call) : repeatable(method, call)]
  }),
}
