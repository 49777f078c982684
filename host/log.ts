/** The log port on pino: one JSON object a line, call ids on every line, secrets replaced wherever they stand. */
import type { Log, LogFacts } from '../core/ports.ts'
import type { Logger } from 'pino'

const masked = '***'

/** Replaces secret values in any string of the facts, however deep: a tool's stderr may repeat what it was given. */
const redact = (value: unknown, secrets: readonly string[], depth = 0): unknown => {
  if (typeof value === 'string') return secrets.reduce((text, secret) => text.replaceAll(secret, masked), value)
  if (depth > 6 || value === null || typeof value !== 'object') return value
  if (value instanceof Error) {
    const { name, message, stack } = value
    return redact({ type: name, message, ...(stack === undefined ? {} : { stack }) }, secrets, depth + 1)
  }
  if (Array.isArray(value)) return value.map((item) => redact(item, secrets, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, secrets, depth + 1)]))
}

type Level = 'debug' | 'info' | 'warn' | 'error'

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

/** Children are plain objects merged at the time of writing: most calls write no line, so none is built for them. */
export const pinoLog = (logger: Logger, facts: LogFacts = {}, secrets: readonly string[] = []): Log => {
  const write = (level: Level) => (more: LogFacts, message: string): void => {
    if (!logger.isLevelEnabled(level)) return
    const line = { ...facts, ...more }
    logger[level](redact(line, secrets) as LogFacts, redact(message, secrets) as string)
  }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (more, moreSecrets = []) => pinoLog(logger, { ...facts, ...more }, [...secrets, ...moreSecrets]),
  }
}

/** JSON lines to standard error, which is the only place a short process may write them. */
export const createPinoLog = async (level: string): Promise<Log> => {
  const { pino } = await import('pino')
  return pinoLog(pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true })))
}
