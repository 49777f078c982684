/** An opened image store: the SR that the file, ext and NFS drivers hand to the engine. */
import { features, type Attachment, type Ctx, type Feature, type Sr, type SrWith } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { chainOf } from './catalog.ts'
import { backlog, createCollector } from './coalesce.ts'
import { clone, snapshot } from './copy.ts'
import { create } from './create.ts'
import { destroy } from './destroy.ts'
import { readFacts, writeFacts } from './facts.ts'
import { rewriteIdentity } from './identity.ts'
import { readLock, releaseLock, takeLock } from './locks.ts'
import { imageFormat, type ImagePlace } from './place.ts'
import { recover } from './recover.ts'
import { resize } from './resize.ts'
import { revert } from './revert.ts'
import { scan, stat } from './scan.ts'
import { createStore, mustExist, readVdi, type Store } from './store.ts'
import { orphans, verify } from './verify.ts'

/** Limits that every SR of image files has. */
export const imageLimits = {
  minVdiSize: imageFormat.limits.minSize,
  maxVdiSize: imageFormat.limits.maxSize,
  sizeStep: imageFormat.limits.sizeStep,
  /** As in xapi's storage manager: every link costs a read. */
  maxChain: 30,
} as const

export const imageContentType = imageFormat.name

const attach = async (store: Store, vdi: VdiUuid): Promise<Attachment> => {
  await store.prove()
  await chainOf(store.catalog, await mustExist(store, vdi))
  return { path: store.paths.image(vdi), contentType: imageFormat.name }
}

/** Everything that an SR can offer. */
export type ImageSr = SrWith<Feature> & Pick<Sr, 'features'>

/** Fails unless the place is SR `ctx.sr`. */
export const openImageStore = async (ctx: Ctx, place: ImagePlace, onClose: () => Promise<void> = async () => undefined): Promise<ImageSr> => {
  const store = createStore(ctx.sr, place)
  const { paths } = store
  const { files } = place
  await store.prove()
  const collector = createCollector(store)
  return {
    features,
    stat: async (call) => stat(store, call),
    scan: async (call) => scan(store, call),
    async vdi(_call, vdi) {
      const found = await readVdi(store, vdi)
      // Absent is an answer only from a place that proves to be this SR.
      if (found === undefined) await store.prove()
      return found
    },
    attach: async (_call, vdi) => attach(store, vdi),
    // An image file needs nothing on this host.
    detach: async () => undefined,
    recover: async (call, vdi) => recover(store, call, vdi),
    create: async (call, want) => create(store, call, want),
    destroy: async (call, vdi) => destroy(store, call, vdi),
    snapshot: async (call, want) => snapshot(store, call, want),
    clone: async (call, want) => clone(store, call, want),
    resize: async (call, vdi, size) => resize(store, call, vdi, size),
    revert: async (call, vdi, to) => revert(store, call, vdi, to),
    async setVdiNames(_call, vdi, names) {
      await writeFacts(files, paths, vdi, { ...(await readFacts(files, paths, vdi)), ...names })
    },
    async setSrNames(_call, names) {
      await rewriteIdentity(files, paths, { ...(await store.prove()), ...names })
    },
    readLock: async (_call, vdi) => readLock(place, paths, vdi),
    lock: async (call, vdi, want) => takeLock(call, place, paths, vdi, want),
    unlock: async (call, vdi, owner) => releaseLock(call, place, paths, vdi, owner),
    backlog: async (call) => backlog(store, call),
    collect: async (call, step) => collector.collect(call, step),
    verify: async (call, vdi, repair) => verify(store, call, vdi, repair),
    orphans: async (call) => orphans(store, call),
    ...(place.guard === undefined ? {} : { guard: place.guard }),
    close: onClose,
  }
}
