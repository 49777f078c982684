/** One request, one response: reads, runs the command with its log and progress, and writes. Whatever goes wrong becomes the response's Error. */
import type { ArrayCtx } from '../core/array/types.ts'
import type { Arrays } from '../core/array/ports.ts'
import { toStorageError } from '../core/errors.ts'
import type { Clock, Host } from '../core/ports.ts'
import { hideInError } from '../core/secrets.ts'
import type { Adapter } from './adapter.ts'
import { commandModules } from './commands/index.ts'
import { isSupported } from './commands/supported.ts'
import { createLog, enginesLog, shown, worthHiding, type SraLog } from './log/log.ts'
import { redacted } from './log/request.ts'
import { errorMessage, unknownCommand } from './messages.ts'
import type { RequestRead } from './request.ts'
import { writeResponse } from './response.ts'
import type { AnyRequest, CommandName, ResponseOf } from './schema/index.ts'
import type { ArrayWorld } from './world.ts'

export interface Setting {
  readonly adapter: Adapter
  readonly arrays: Arrays
  readonly host: Host
  readonly clock: Clock
  /** Name, version and build date, as the log must begin. */
  readonly signature: string
  /** Names this run; in every line of its log. */
  readonly runId: string
  readonly signal: AbortSignal
}

export interface Outlet {
  /** One entry of the log, of one or several lines. */
  readonly line: (text: string) => void
  /** Percent; never less than before. */
  readonly progress: (percent: number) => void
}

const secretsOf = (read: RequestRead): readonly string[] =>
  (read.request?.connections ?? []).flatMap(({ username, password }) => [username, password]).filter((secret): secret is string => secret !== undefined && worthHiding(secret))

const run = async (request: AnyRequest, world: ArrayWorld): Promise<ResponseOf<CommandName>> => {
  const module = isSupported(request.command, world.adapter) ? await commandModules[request.command]?.() : undefined
  if (module === undefined) return { error: unknownCommand(request.command) }
  // The registry pairs each command with its own module.
  return (module.run as (request: AnyRequest, world: ArrayWorld) => Promise<ResponseOf<CommandName>>)(request, world)
}

const failed = (thrown: unknown, log: SraLog, secrets: readonly string[]): ResponseOf<CommandName> => {
  const error = hideInError(toStorageError(thrown, 'sra'), secrets)
  log.write('error', `${error.message}${error.facts.remedy === undefined ? '' : `. ${error.facts.remedy}`}`)
  return { error: errorMessage(error) }
}

const written = (command: CommandName, response: ResponseOf<CommandName>, log: SraLog, secrets: readonly string[]): string => {
  try {
    return writeResponse(command, response)
  } catch (error) {
    return writeResponse(command, failed(error, log, secrets))
  }
}

/** The response as XML. Never throws: that there is something to answer was found out by reading the request. */
export const answer = async (read: RequestRead, setting: Setting, outlet: Outlet): Promise<string> => {
  const { envelope, request } = read
  const secrets = secretsOf(read)
  const log = createLog({ level: envelope.logLevel, line: outlet.line, now: () => setting.clock.now(), secrets }, setting.runId)
  log.write('info', setting.signature)
  log.write('verbose', `Request:\n${redacted(read.element)}`)
  let percent = 0
  const progress = (done: number, total: number): void => {
    percent = Math.max(percent, Math.floor((done * 100) / Math.max(1, total)))
    outlet.progress(percent)
  }
  progress(0, 1)
  const ctx: ArrayCtx = { callId: setting.runId, signal: setting.signal, log: enginesLog(log), clock: setting.clock, host: setting.host, progress: () => undefined }
  const step = log.begin(`command ${shown(envelope.name)}`, 'info')
  let response: ResponseOf<CommandName>
  if (request === undefined) response = { error: read.refusal }
  else {
    try {
      response = await run(request, { adapter: setting.adapter, arrays: setting.arrays, ctx, log, progress })
    } catch (error) {
      response = failed(error, log, secrets)
    }
  }
  const xml = written(request?.command ?? 'queryInfo', response, log, secrets)
  progress(1, 1)
  if ('error' in response) step.fail('the response is an error')
  else step.complete()
  return xml
}
