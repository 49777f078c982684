/**
 * Changes of a volume group. LVM's exit status is not believed, in neither direction: a killed or confused command may have
 * committed, and a disk that loses writes lets it say "created" (lab: flakey drop_writes). So each change is looked at on
 * the devices afterwards, and what is there decides.
 *
 * LVM commits the metadata of a group as a whole: every single command here is done or not done after a power cut.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { Command } from '../../core/ports.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import type { Report, Reports } from './report.ts'

export interface Change {
  readonly command: Command
  /** As in "was to ...". */
  readonly what: string
  readonly done: (report: Report) => boolean
  /** Changes of one kind to different volumes that wait at the same time are made by one command and looked at together. */
  readonly together?: { readonly kind: string; readonly volume: string; readonly command: (volumes: readonly string[]) => Command }
}

export type Changes = (ctx: Ctx, change: Change) => Promise<Report>

/** Runs a command and answers the failure instead of throwing it, when the state can tell more than the failure does. */
const attempt = async (ctx: Ctx, command: Command): Promise<StorageError | undefined> => {
  try {
    await ctx.host.run(command, ctx.signal)
    return undefined
  } catch (error) {
    // Killed at its time limit: the device hangs, and asking it again would hang as well. The next call looks.
    if (!(error instanceof StorageError) || error.kind !== 'toolFailed') throw error
    return error
  }
}

/** What the devices show decides; answers the error of a change that they do not show. */
const judge = (ctx: Ctx, { command, what, done }: Change, report: Report, failure: StorageError | undefined): unknown => {
  if (done(report)) {
    if (failure !== undefined) ctx.log.warn({ argv: command.argv, said: failure.message }, `LVM failed to ${what}, yet it is done`)
    return undefined
  }
  if (failure !== undefined) return explainLvm(failure)
  return new StorageError('ioError', `LVM was to ${what} and said that it did, but the devices do not show it: writes may be getting lost`, {
    layer: 'store:logical-volumes', mayHaveChanged: true, details: { argv: command.argv.join(' ') },
    remedy: 'Stop using this storage, and look at the kernel log and at the health of the devices',
  })
}

/** Runs the command and answers what there is then, and what LVM said if it failed. */
const perform = async (ctx: Ctx, command: Command, readAgain: () => Promise<Report>): Promise<{ readonly report: Report; readonly failure: StorageError | undefined }> => {
  const failure = await attempt(ctx, command)
  try {
    return { report: await readAgain(), failure }
  } catch (error) {
    // What made the change fail is nearer to the cause than that the group cannot be read either.
    throw failure === undefined ? error : explainLvm(failure)
  }
}

/**
 * Makes the change and answers the report after it. Failures: what LVM said, explained; ioError when LVM was content and the
 * change is not there.
 */
export const makeChange = async (ctx: Ctx, change: Change, readAgain: () => Promise<Report>): Promise<Report> => {
  const { report, failure } = await perform(ctx, change.command, readAgain)
  const wrong = judge(ctx, change, report, failure)
  if (wrong !== undefined) throw wrong
  return report
}

interface Waiting {
  readonly ctx: Ctx
  readonly change: Change
  readonly resolve: (report: Report) => void
  readonly reject: (error: unknown) => void
}

/**
 * One command at a time: LVM would make the others wait for its own lock, each with its process and its time limit running.
 * What waits meanwhile and is of one kind goes together then, so that ten attaches at once cost two rounds and not ten.
 */
export const createChanges = (reports: Reports): Changes => {
  const waiting: Waiting[] = []
  let working = false

  const takeNext = (): readonly [Waiting, ...Waiting[]] | undefined => {
    const first = waiting.shift()
    if (first === undefined) return undefined
    const kind = first.change.together?.kind
    const [more, others] = [waiting.filter(({ change }) => kind !== undefined && change.together?.kind === kind), waiting.filter(({ change }) => kind === undefined || change.together?.kind !== kind)]
    waiting.splice(0, waiting.length, ...others)
    return [first, ...more]
  }

  const round = async (all: readonly [Waiting, ...Waiting[]]): Promise<void> => {
    for (const { ctx, reject } of all) if (ctx.signal.aborted) reject(ctx.signal.reason)
    const [first, ...more] = all.filter(({ ctx }) => !ctx.signal.aborted)
    if (first === undefined) return
    const { ctx, change } = first
    const volumes = [first, ...more].flatMap((one) => one.change.together?.volume ?? [])
    const command = more.length === 0 ? change.command : change.together?.command(volumes) ?? change.command
    for (const one of [first, ...more]) reports.forget(one.ctx)
    try {
      const { report, failure } = await perform(ctx, command, async () => reports.again(ctx))
      for (const one of [first, ...more]) {
        reports.adopt(one.ctx, report)
        const wrong = judge(one.ctx, one.change, report, failure)
        if (wrong === undefined) one.resolve(report)
        else one.reject(wrong)
      }
    } catch (error) {
      first.reject(error)
      // That the first of them was called off is not the fault of the others: they are made again, and what is done shows.
      if (ctx.signal.aborted) waiting.unshift(...more)
      else for (const one of more) one.reject(error)
    }
  }

  const work = async (): Promise<void> => {
    working = true
    try {
      for (let next = takeNext(); next !== undefined; next = takeNext()) await round(next)
    } finally {
      working = false
    }
  }

  return async (ctx, change) =>
    new Promise((resolve, reject) => {
      waiting.push({ ctx, change, resolve, reject })
      if (!working) void work()
    })
}
