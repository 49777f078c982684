/** The log port on pino: one JSON object a line, call ids on every line, secrets replaced wherever they stand. */
import type { Log, LogFacts } from '../core/ports.ts'
import { hideSecrets } from '../core/secrets.ts'
import type { Logger } from 'pino'

/** Errors say nothing of themselves in JSON. */
const plain = (value: unknown): unknown => {
  if (!(value instanceof Error)) return value
  const { name, message, stack } = value
  return { type: name, message, ...(stack === undefined ? {} : { stack }) }
}

type Level = 'debug' | 'info' | 'warn' | 'error'

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

/**
 * Children are plain objects merged at the time of writing: most calls write no line, so none is built for them. A secret
 * that one child was told of is hidden by all, for good: tools are logged by the host, which knows nothing of calls.
 */
export const pinoLog = (logger: Logger, facts: LogFacts = {}, secrets: Set<string> = new Set()): Log => {
  const write = (level: Level) => (more: LogFacts, message: string): void => {
    if (!logger.isLevelEnabled(level)) return
    const line = Object.fromEntries(Object.entries({ ...facts, ...more }).map(([key, value]) => [key, plain(value)]))
    const known = [...secrets]
    logger[level](hideSecrets(line, known) as LogFacts, hideSecrets(message, known) as string)
  }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child(more, moreSecrets = []) {
      for (const secret of moreSecrets) secrets.add(secret)
      return pinoLog(logger, { ...facts, ...more }, secrets)
    },
  }
}

/** JSON lines to standard error, which is the only place a short process may write them. */
export const createPinoLog = async (level: string): Promise<Log> => {
  const { pino } = await import('pino')
  return pinoLog(pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true })))
}
