/**
 * open-iscsi's node and discovery records. CHAP secrets get into them by writing the file: iscsiadm takes values as arguments
 * only, and arguments are everybody's to read. Changes are made under the lock `iscsiadm` of this host: the database is not
 * safe against two writers.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { deleteDiscoveryRecordCommand, deleteRecordCommand, discoverByRecordCommand, newDiscoveryRecordCommand, newRecordCommand } from './build.ts'
import { explainIscsi } from './errors.ts'
import { editRecord, isRecord, parseDiscovery } from './parse.ts'
import { formatPortal, type Portal, type TargetPortal } from './portal.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

/** Where distributions keep the database: first the place of upstream and Debian, then the newer one. */
const databases = ['/etc/iscsi', '/var/lib/iscsi']
const maxLength = 64 * 1024
const lockWaitMs = 60_000

export interface Chap {
  readonly user: string
  readonly password: string
  /** What the target proves itself with. */
  readonly incoming?: { readonly user: string; readonly password: string }
}

export interface NodeSettings {
  readonly chap?: Chap
  /** Seconds. */
  readonly loginTimeout: number
  /** Seconds that I/O waits for a lost session before it fails. */
  readonly replacementTimeout: number
}

/**
 * Every value is stated, so that nothing is left of an earlier setting. The defaults would try a dead portal eight times
 * (two minutes), and log in at boot.
 */
const nodeValues = ({ chap, loginTimeout, replacementTimeout }: NodeSettings): Readonly<Record<string, string | undefined>> => ({
  'node.startup': 'manual',
  'node.conn[0].startup': 'manual',
  'node.session.initial_login_retry_max': '1',
  'node.conn[0].timeo.login_timeout': String(loginTimeout),
  'node.session.timeo.replacement_timeout': String(replacementTimeout),
  ...(chap === undefined ? {} : {
    'node.session.auth.authmethod': 'CHAP',
    'node.session.auth.username': chap.user,
    'node.session.auth.password': chap.password,
    'node.session.auth.username_in': chap.incoming?.user,
    'node.session.auth.password_in': chap.incoming?.password,
  }),
})

interface Found {
  readonly path: string
  readonly text: string
}

/** The file of that name in whichever database has it; of several, the one written last. */
const findFile = async (ctx: Needs, name: string): Promise<Found | undefined> => {
  const { files } = ctx.host
  const found: (Found & { readonly modifiedMs: number })[] = []
  for (const database of databases) {
    const path = `${database}/${name}`
    const facts = await files.stat(path)
    const text = facts?.kind === 'file' ? await files.readText(path, maxLength) : undefined
    if (facts !== undefined && text !== undefined) found.push({ path, text, modifiedMs: facts.modifiedMs })
  }
  return found.sort((a, b) => b.modifiedMs - a.modifiedMs)[0]
}

/**
 * Replaces a file, private to root. The new content is made in the database's own folder, where iscsiadm does not look for
 * records; a crash may leave it there until the next change.
 */
const replaceFile = async (ctx: Needs, path: string, text: string): Promise<void> => {
  const { files } = ctx.host
  const temporary = `${databases.find((database) => path.startsWith(`${database}/`)) ?? ''}/.storage-manager.tmp`
  await files.unlink(temporary)
  const file = await files.create(temporary)
  try {
    await file.write(0, new TextEncoder().encode(text))
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(temporary, path)
}

const underLock = async <T>(ctx: Needs, purpose: string, work: () => Promise<T>): Promise<T> => {
  const held = await ctx.host.exclusive('iscsiadm', purpose, lockWaitMs, ctx.signal)
  try {
    return await work()
  } finally {
    held.release()
  }
}

const nodeFile = ({ iqn, address, port, group }: TargetPortal, face: string): string => `nodes/${iqn}/${address},${port},${group}/${face}`
const discoveryFile = ({ address, port }: Portal): string => `send_targets/${address},${port}/st_config`

const needFile = async (ctx: Needs, name: string, what: string): Promise<Found> => {
  const found = await findFile(ctx, name)
  if (found !== undefined && isRecord(found.text)) return found
  throw new StorageError('toolFailed', `iscsiadm says it made the record of ${what}, but there is none in ${databases.map((database) => `${database}/${name}`).join(' or ')}`, {
    layer: 'host:iscsi', mayHaveChanged: true, remedy: 'Report this with the version of open-iscsi on this host',
  })
}

/** The record of a portal as text; undefined when there is none. It may hold secrets. */
export const readRecord = async (ctx: Needs, portal: TargetPortal, face: string): Promise<string | undefined> => (await findFile(ctx, nodeFile(portal, face)))?.text

/** A record from the defaults of this host with our settings, in place of whatever was there. */
export const makeRecord = async (ctx: Needs, portal: TargetPortal, face: string, settings: NodeSettings): Promise<void> =>
  underLock(ctx, `record of ${portal.iqn}`, async () => {
    const what = `${portal.iqn} at ${formatPortal(portal)}`
    await ctx.host.run(newRecordCommand(portal, face), ctx.signal).catch(explainIscsi(`making the record of ${what}`))
    const { path, text } = await needFile(ctx, nodeFile(portal, face), what)
    await replaceFile(ctx, path, editRecord(text, nodeValues(settings)))
  })

/** Puts back what was there before ours: a text, or nothing. What is gone already is done. */
export const restoreRecord = async (ctx: Needs, portal: TargetPortal, face: string, before: string | undefined): Promise<void> =>
  underLock(ctx, `record of ${portal.iqn}`, async () => {
    const there = await findFile(ctx, nodeFile(portal, face))
    if (there === undefined) return
    if (before !== undefined) await replaceFile(ctx, there.path, before)
    else await ctx.host.run(deleteRecordCommand(portal, face), ctx.signal).catch(explainIscsi(`deleting the record of ${portal.iqn}`))
  })

/**
 * Discovery with CHAP. Steps: 1. a discovery record, unless there is one; 2. our settings in it; 3. discover; 4. the record as it
 * was. A crash leaves a record of ours, which the next such discovery uses and then takes for somebody's own. Never deleted with
 * `-o delete` when it was there before: that would delete the node records found through it, too.
 */
export const discoverWithChap = async (ctx: Needs, portal: Portal, chap: Chap, timeoutMs: number): Promise<readonly TargetPortal[]> =>
  underLock(ctx, `discovery at ${formatPortal(portal)}`, async () => {
    const what = `discovery with CHAP at ${formatPortal(portal)}`
    const before = await findFile(ctx, discoveryFile(portal))
    if (before === undefined) await ctx.host.run(newDiscoveryRecordCommand(portal), ctx.signal).catch(explainIscsi(what))
    const { path, text } = before ?? (await needFile(ctx, discoveryFile(portal), what))
    try {
      await replaceFile(ctx, path, editRecord(text, {
        'discovery.sendtargets.auth.authmethod': 'CHAP',
        'discovery.sendtargets.auth.username': chap.user,
        'discovery.sendtargets.auth.password': chap.password,
        'discovery.sendtargets.auth.username_in': chap.incoming?.user,
        'discovery.sendtargets.auth.password_in': chap.incoming?.password,
        'discovery.sendtargets.reopen_max': '1',
      }))
      const { stdout } = await ctx.host.run(discoverByRecordCommand(portal, timeoutMs), ctx.signal)
      return parseDiscovery(stdout)
    } catch (error) {
      return explainIscsi(what)(error)
    } finally {
      if (before !== undefined) await replaceFile(ctx, path, before.text)
      else await ctx.host.run(deleteDiscoveryRecordCommand(portal), ctx.signal).catch(explainIscsi(what))
    }
  })
