/** Sessions of one array (facts 1): in memory only, so that a restart ends them all, as in life. */
import { randomBytes } from 'node:crypto'
import { refuse } from './refusals.ts'

/** A key that nobody used for so long is gone. */
const idleMs = 15 * 60_000

export interface Session {
  readonly key: string
  readonly address: string
  usedMs: number
  /** Requests under one key run one at a time. */
  queue: Promise<void>
}

export interface Sessions {
  /** Nothing when there are too many. */
  login(address: string): Session | undefined
  /** The session of a key, renewed; throws 403/6. */
  use(key: string | undefined, address: string): Session
  end(key: string): void
  endAll(): void
  count(): number
}

export const createSessions = (now: () => number, limit: number): Sessions => {
  const open = new Map<string, Session>()
  const expire = (): void => {
    for (const [key, { usedMs }] of open) if (now() - usedMs >= idleMs) open.delete(key)
  }
  return {
    login: (address) => {
      expire()
      if (open.size >= limit) return undefined
      const key = `0-${randomBytes(16).toString('hex')}-${randomBytes(4).toString('hex')}`
      const session: Session = { key, address, usedMs: now(), queue: Promise.resolve() }
      open.set(key, session)
      return session
    },
    use: (key, address) => {
      expire()
      const session = key === undefined ? undefined : open.get(key)
      if (session === undefined || session.address !== address) throw refuse('badSession')
      session.usedMs = now()
      return session
    },
    end: (key) => {
      expire()
      if (!open.delete(key)) throw refuse('badSession')
    },
    endAll: () => open.clear(),
    count: () => {
      expire()
      return open.size
    },
  }
}
