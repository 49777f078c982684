/** The connection to one array: requests with sessions, deadlines and retries around them, answers checked. */
import type * as z from 'zod'
import { StorageError } from '../../../../core/errors.ts'
import type { Log } from '../../../../core/ports.ts'
import { build as builds } from './enums.ts'
import { refusalError } from './errors.ts'
import { layer } from './layer.ts'
import { Version } from './schemas.ts'
import { createSessions, loginPauses, pause, refusalOf, type Credentials } from './sessions.ts'
import { agentFor, type TlsTrust } from './tls.ts'
import { createTransport, type Answer, type Exchange } from './transport.ts'

export interface ConnectOptions extends Credentials {
  /** `https://ARRAY:8080/api/v1` (443 on newer arrays). */
  readonly url: string
  readonly tls: TlsTrust
  readonly log: Log
  /** Sessions held at most, which is also how many requests run at once (2). */
  readonly sessions?: number
  /** Milliseconds that one request may take (60,000). */
  readonly timeoutMs?: number
  /** Milliseconds before each repeat of what may be repeated: tests make it short. */
  readonly pauses?: readonly number[]
  readonly now?: () => number
  /** Told of every request that went out: method and path, never a body. */
  readonly onRequest?: (method: string, path: string) => void
}

interface Ask {
  readonly method: Exchange['method']
  /** Below the root of the API: `/volumes`. */
  readonly path: string
  readonly body?: unknown
  readonly what: string
  /** Repeating it does no harm, though it writes (DELETE of a template by its full name, stop of what is stopped). */
  readonly repeatable?: boolean
}

/** Requests to one array. Every function fails with a StorageError; see errors.ts for what the array's codes become. */
export interface Wsapi {
  /** Host and port, for people. */
  readonly address: string
  /** The release of the array as one number (enums.ts, `build`). */
  readonly build: number
  get<T extends z.ZodType>(path: string, answer: T, what: string, signal: AbortSignal): Promise<z.output<T>>
  /** POST, PUT, DELETE. The answer's path and body; nothing is repeated of which the array may have seen the first. */
  write(ask: Ask, signal: AbortSignal): Promise<{ readonly location: string | undefined; readonly body: unknown }>
  /** Gives the sessions back. To be called always, also after failures. */
  close(): Promise<void>
}

const rootOf = (url: string): { readonly base: URL; readonly root: string } => {
  let base: URL
  try {
    base = new URL(url)
  } catch {
    throw new StorageError('invalidArgument', 'url: is no URL', { layer, field: 'url', remedy: 'Give it as https://ARRAY:8080/api/v1' })
  }
  if (base.protocol !== 'https:') {
    throw new StorageError('invalidArgument', `url: ${base.protocol}// would send the password in the clear`, { layer, field: 'url', remedy: 'Give it as https://ARRAY:8080/api/v1' })
  }
  if (base.username !== '' || base.password !== '' || base.search !== '' || base.hash !== '') {
    throw new StorageError('invalidArgument', 'url: must be address and path only', { layer, field: 'url', remedy: 'Give user and password by their own keys' })
  }
  return { base, root: base.pathname.replace(/\/+$/, '') }
}

/** Parses what the array answered; what does not fit is a fault of the array (or of our knowledge of it), never of the caller. */
export const understand = <T extends z.ZodType>(schema: T, body: unknown, what: string): z.output<T> => {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new StorageError('arrayFault', `${what}: the array answered something else than expected${issue === undefined ? '' : ` (${issue.path.map(String).join('.') || 'body'}: ${issue.message})`}`, {
    layer, remedy: 'See that the address leads to an array of this class; report this with its release',
  })
}

const ok = (answer: Answer): boolean => answer.status >= 200 && answer.status < 300

/**
 * Retries, and why each is safe: 503 is said before the array does anything; 403 with code 6 is said before it looks at the request; a
 * read changes nothing. Nothing else is sent twice.
 */
export const connectWsapi = async (options: ConnectOptions, signal: AbortSignal): Promise<Wsapi> => {
  const { base, root } = rootOf(options.url)
  const limit = options.sessions ?? 2
  const timeoutMs = options.timeoutMs ?? 60_000
  const pauses = options.pauses ?? loginPauses
  const agent = agentFor(options.tls, limit + 1)
  const transport = createTransport(base, agent)
  const send = async (exchange: Exchange, during: AbortSignal): Promise<Answer> => {
    options.onRequest?.(exchange.method, exchange.path.includes('/credentials/') ? `${root}/credentials/…` : exchange.path)
    return transport(exchange, during)
  }
  const sessions = createSessions(send, {
    credentials: { user: options.user, password: options.password }, root, limit, timeoutMs, pauses, now: options.now ?? Date.now, log: options.log.child({ array: base.host }, [options.password]),
  })

  /** Waits before the repeat number `tries`; false when there is none left. */
  const again = async (tries: number, during: AbortSignal): Promise<boolean> => {
    const ms = pauses[tries]
    if (ms === undefined) return false
    await pause(ms, during)
    return true
  }

  const request = async (ask: Ask, during: AbortSignal): Promise<Answer> =>
    sessions.use(during, async (lease) => {
      let renewed = false
      for (let tries = 0; ; tries += 1) {
        let answer: Answer
        try {
          answer = await send({ method: ask.method, path: `${root}${ask.path}`, what: ask.what, timeoutMs, key: lease.key(), ...(ask.body === undefined ? {} : { body: ask.body }) }, during)
        } catch (error) {
          const harmless = ask.method === 'GET' || ask.repeatable === true
          // One repeat: more would only make everybody wait longer for an array that is gone.
          if (!harmless || tries > 0 || !(error instanceof StorageError) || !['unreachable', 'outcomeUnknown'].includes(error.kind) || !(await again(0, during))) throw error
          continue
        }
        if (ok(answer)) return answer
        const refusal = { status: answer.status, ...refusalOf(answer.body) }
        if (answer.status === 403 && refusal.code === 6 && !renewed) {
          renewed = true
          await lease.renew(during)
          continue
        }
        if (answer.status === 503 && await again(tries, during)) continue
        throw refusalError(ask.what, refusal)
      }
    })

  const findBuild = async (): Promise<number> => {
    const answer = await send({ method: 'GET', path: root.replace(/\/v\d+$/, ''), what: 'ask for the version', timeoutMs }, signal)
    if (!ok(answer)) throw refusalError('ask for the version', { status: answer.status, ...refusalOf(answer.body) })
    return understand(Version, answer.body, 'ask for the version').build
  }

  try {
    const found = await findBuild()
    if (found < builds.floor) {
      throw new StorageError('notSupported', `The array at ${base.host} has WSAPI build ${found}; at least ${builds.floor} is needed`, { layer, remedy: 'Update the array', details: { build: found } })
    }
    return {
      address: base.host,
      build: found,
      get: async (path, schema, what, during) => understand(schema, (await request({ method: 'GET', path, what }, during)).body, what),
      async write(ask, during) {
        const { location, body } = await request(ask, during)
        return { location, body }
      },
      async close() {
        await sessions.close()
        agent.destroy()
      },
    }
  } catch (error) {
    agent.destroy()
    throw error
  }
}
