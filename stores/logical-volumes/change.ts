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
}

export type Changes = (ctx: Ctx, change: Change) => Promise<Report>

/** One change at a time: LVM would make the others wait for its own lock, each with its process and its time limit running. */
const createQueue = () => {
  let last: Promise<unknown> = Promise.resolve()
  return async <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work)
    last = mine.catch(() => undefined)
    return mine
  }
}

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

/**
 * Makes the change and answers the report after it. Failures: what LVM said, explained; ioError when LVM was content and the
 * change is not there.
 */
export const makeChange = async (ctx: Ctx, { command, what, done }: Change, readAgain: () => Promise<Report>): Promise<Report> => {
  const failure = await attempt(ctx, command)
  let report: Report
  try {
    report = await readAgain()
  } catch (error) {
    // What made the change fail is nearer to the cause than that the group cannot be read either.
    throw failure === undefined ? error : explainLvm(failure)
  }
  if (done(report)) {
    if (failure !== undefined) ctx.log.warn({ argv: command.argv, said: failure.message }, `LVM failed to ${what}, yet it is done`)
    return report
  }
  if (failure !== undefined) throw explainLvm(failure)
  throw new StorageError('ioError', `LVM was to ${what} and said that it did, but the devices do not show it: writes may be getting lost`, {
    layer: 'store:logical-volumes', mayHaveChanged: true, details: { argv: command.argv.join(' ') },
    remedy: 'Stop using this storage, and look at the kernel log and at the health of the devices',
  })
}

export const createChanges = (reports: Reports): Changes => {
  const inTurn = createQueue()
  return async (ctx, change) =>
    inTurn(async () => {
      reports.forget(ctx)
      return makeChange(ctx, change, async () => reports.again(ctx))
    })
}
