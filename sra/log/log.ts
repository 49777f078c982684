/**
 * The log of one command: date, level, an id for each operation, English text (interface 2.0, appendix A). Lines go to a sink that
 * the executable gives. Names come from outside: those with blanks stand in quotes, and none can begin a line of its own.
 */
import type { Log, LogFacts } from '../../core/ports.ts'
import { hideSecrets } from '../../core/secrets.ts'
import type { LogLevel } from '../schema/index.ts'

const weights: Readonly<Record<LogLevel, number>> = { error: 0, warning: 1, info: 2, verbose: 3, trivia: 4 }

/** A step that has begun. Exactly one of the two ends it. */
export interface Step {
  readonly complete: (more?: string) => void
  readonly fail: (reason: string) => void
}

export interface SraLog {
  /** Of this log and of those made from it, each with a number of its own behind it. */
  readonly id: string
  readonly write: (level: LogLevel, text: string) => void
  /** `Commence: what`, later `Complete: what`. */
  readonly begin: (what: string, level?: LogLevel) => Step
  /** For the steps of one item, so that steps of several can be told apart. */
  readonly child: () => SraLog
}

export interface LogSink {
  readonly level: LogLevel
  /** One line or several, without the last line end. */
  readonly line: (text: string) => void
  readonly now: () => number
  /** Never to appear in any line, whoever wrote it. */
  readonly secrets: readonly string[]
}

/** A name as the request spells it; quoted when it holds blanks or what could be taken for something else. */
export const shown = (name: string): string => (/^[^\s"\\\p{C}]+$/u.test(name) ? name : JSON.stringify(name).replace(/[\p{Cf}\u2028\u2029]/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`))

/** Short ones would blot out half the log and hide nothing: they stand in everyday words. */
export const worthHiding = (secret: string): boolean => secret.length >= 4

export const createLog = (sink: LogSink, id: string): SraLog => {
  let last = 0
  const secrets = sink.secrets.filter(worthHiding)
  const make = (own: string): SraLog => {
    const write: SraLog['write'] = (level, text) => {
      if (weights[level] > weights[sink.level]) return
      sink.line(`${new Date(sink.now()).toISOString()} [${level}] [${own}] ${String(hideSecrets(text, secrets))}`)
    }
    return {
      id: own,
      write,
      begin(what, level = 'verbose') {
        write(level, `Commence: ${what}`)
        return {
          complete: (more) => write(level, `Complete: ${what}${more === undefined ? '' : `: ${more}`}`),
          fail: (reason) => write('error', `Failed: ${what}: ${reason}`),
        }
      },
      child: () => make(`${id}-${(last += 1)}`),
    }
  }
  return make(id)
}

const levelOf = { debug: 'trivia', info: 'verbose', warn: 'warning', error: 'error' } as const

/** What engine and driver have to say, in the same log. */
export const enginesLog = (log: SraLog, facts: LogFacts = {}): Log => {
  const at = (level: keyof typeof levelOf) => (more: LogFacts, message: string): void => {
    const all = { ...facts, ...more }
    const words = Object.entries(all).map(([key, value]) => `${key}=${value instanceof Error ? value.message : shown(typeof value === 'string' ? value : JSON.stringify(value) ?? '')}`)
    log.write(levelOf[level], [message, ...words].join(' '))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (more) => enginesLog(log, { ...facts, ...more }) }
}
