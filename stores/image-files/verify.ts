/** Checking images and chains, mending what can be mended without doubt, and finding what belongs to nobody. */
import type { Ctx, Finding, Orphan } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { chainProblems } from './catalog.ts'
import { isTemporary, isWellFormed, listIntents } from './intents.ts'
import { lockedVdis } from './locks.ts'
import { withFile, withImage } from './mend.ts'
import { imageFileName, imageFormat, storeDirectory, vdiOfFileName } from './place.ts'
import { readAll } from './scan.ts'
import { layer, type Store } from './store.ts'

type Repair = 'no' | 'dry-run' | 'yes'

const checkOne = async (store: Store, vdi: VdiUuid, repair: Repair): Promise<readonly Finding[]> => {
  const where = imageFileName(vdi)
  const told = new Map<string, Finding>()
  const add = (finding: Omit<Finding, 'vdi' | 'where'>): void => void told.set(finding.what, { vdi, where, ...finding })
  try {
    if (repair !== 'no') {
      const mended = await withFile(store, vdi, repair === 'yes' ? 'write' : 'read', async (file) => {
        const found = await imageFormat.repair(file, repair === 'dry-run')
        if (repair === 'yes') await file.sync()
        return found
      })
      for (const { weight, what } of mended) add({ weight, what, repaired: true })
    }
    for (const { weight, what } of await withImage(store, vdi, 'read', async (image) => image.check())) {
      if (!told.has(what)) add({ weight, what, repaired: false })
    }
  } catch (error) {
    const failure = toStorageError(error, layer)
    if (failure.kind !== 'imageCorrupt') throw failure
    add({ weight: 'damage', what: failure.message, repaired: false })
  }
  return [...told.values()]
}

export const verify = async (store: Store, ctx: Ctx, only: VdiUuid | undefined, repair: Repair): Promise<readonly Finding[]> => {
  const { entries, facts, records } = await readAll(store, ctx)
  const findings: Finding[] = []
  const wanted = [...entries.values()].filter((entry) => only === undefined || entry.uuid === only)
  for (const [done, entry] of wanted.entries()) {
    ctx.signal.throwIfAborted()
    ctx.progress(done, wanted.length)
    if (entry.file.kind === 'file') findings.push(...(await checkOne(store, entry.uuid, repair)))
    else findings.push({ vdi: entry.uuid, where: imageFileName(entry.uuid), weight: 'damage', what: `It is a ${entry.file.kind}, not a file`, repaired: false })
  }
  for (const [vdi, problem] of chainProblems(entries)) {
    if ((only === undefined || vdi === only) && entries.get(vdi)?.problem === undefined) {
      findings.push({ vdi, where: imageFileName(vdi), weight: 'damage', what: problem.message, repaired: false })
    }
  }
  for (const { uuid, problem } of records) {
    if ((only === undefined || uuid === only) && problem !== undefined && !findings.some((finding) => finding.vdi === uuid)) {
      findings.push({ vdi: uuid, where: imageFileName(uuid), weight: 'damage', what: problem.message, repaired: false })
    }
  }
  findings.push(...sharedFiles(entries.values(), only))
  if (only === undefined) {
    for (const vdi of facts.keys()) {
      if (!entries.has(vdi)) findings.push({ vdi, where: `${storeDirectory}/vdis/${vdi}.json`, weight: 'damage', what: `The image of VDI ${vdi} is missing: only its facts are left`, repaired: false })
    }
  }
  ctx.progress(wanted.length, wanted.length)
  const unfinished = await listUnfinished(store, entries)
  return findings.map((finding) => (finding.weight === 'note' || finding.vdi === undefined || !unfinished(finding.vdi) ? finding
    : { ...finding, weight: 'note', what: `${finding.what} (a change of it is unfinished: the next change of this SR, or attaching it, finishes it first)` }))
}

/** Whether an intent names a VDI or what it reads through: until its rule was obeyed, what is wrong there is no damage. */
const listUnfinished = async (store: Store, entries: ReadonlyMap<VdiUuid, { readonly parent?: VdiUuid }>): Promise<(vdi: VdiUuid) => boolean> => {
  const named = new Set((await listIntents(store)).filter((intent) => !isTemporary(intent) && !store.stuck.has(intent.name)).flatMap(({ vdis }) => vdis))
  return (vdi) => {
    const seen = new Set<VdiUuid>()
    for (let at: VdiUuid | undefined = vdi; at !== undefined && !seen.has(at); at = entries.get(at)?.parent) {
      if (named.has(at)) return true
      seen.add(at)
    }
    return false
  }
}

/** Two VDIs on one file would write into each other. */
const sharedFiles = (entries: Iterable<{ readonly uuid: VdiUuid; readonly file: { readonly identity: string } }>, only: VdiUuid | undefined): readonly Finding[] => {
  const owners = new Map<string, VdiUuid>()
  const findings: Finding[] = []
  for (const { uuid, file } of entries) {
    const other = owners.get(file.identity)
    if (other === undefined) owners.set(file.identity, uuid)
    else if (only === undefined || only === uuid || only === other) {
      findings.push({ vdi: uuid, where: imageFileName(uuid), weight: 'damage', what: `VDIs ${other} and ${uuid} are two names of one file`, repaired: false })
    }
  }
  return findings
}

/** Ours and the file system's. */
const expected = new Set([storeDirectory, 'lost+found'])

export const orphans = async (store: Store, ctx: Ctx): Promise<readonly Orphan[]> => {
  const { entries, facts } = await readAll(store, ctx)
  const { files } = store.place
  const found: Orphan[] = []
  const names = await files.list(store.paths.images)
  if (names === undefined) throw new StorageError('placeMissing', `The directory ${store.paths.images} is not there`, { layer, remedy: 'See that the place is mounted' })
  for (const name of names) {
    if (expected.has(name) || vdiOfFileName(name) !== undefined) continue
    const file = await files.stat(`${store.paths.images}/${name}`)
    if (file !== undefined) found.push({ where: name, bytes: file.allocated, why: 'It is not named after a VDI', collectable: false })
  }
  for (const intent of await listIntents(store)) {
    const { name } = intent
    const file = await files.stat(store.paths.intent(name))
    const stuck = store.stuck.get(name)
    const ours = isTemporary(intent) || isWellFormed(intent)
    if (file !== undefined) found.push({ where: `${storeDirectory}/intents/${name}`, bytes: file.allocated, why: stuck?.problem.message ?? (ours ? 'It is part of a change that is under way, or was when a process died' : 'Its name is none that is written there'), collectable: ours && stuck === undefined })
  }
  for (const vdi of facts.keys()) {
    if (!entries.has(vdi)) found.push({ where: `${storeDirectory}/vdis/${vdi}.json`, bytes: 0, why: `The image of VDI ${vdi} is missing`, collectable: false })
  }
  for (const vdi of await lockedVdis(store.place, store.paths)) {
    if (!entries.has(vdi)) found.push({ where: `${storeDirectory}/locks/${vdi}`, bytes: 0, why: `There is no VDI ${vdi}`, collectable: false })
  }
  return found
}
