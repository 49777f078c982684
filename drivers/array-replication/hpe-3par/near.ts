/** What every part of the driver works with: the connection to the near array, and the one to the far array where its access is known. */
import type { ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import type { Settings } from './connection.ts'
import { connectWsapi, type Wsapi } from './wsapi/client.ts'
import type { System } from './wsapi/schemas.ts'
import { pause } from './wsapi/sessions.ts'

export interface Near {
  readonly api: Wsapi
  readonly settings: Settings
  /** As it was when the connection was made. */
  readonly system: System
  /** A second of the array's clock and a little more, in milliseconds of ours: simulated clocks may run faster. */
  readonly secondMs: number
  /** The far array; undefined when its access is not configured or it does not answer now. */
  far(ctx: ArrayCtx): Promise<Wsapi | undefined>
  close(): Promise<void>
}

/** Milliseconds: a site that is gone must not hold up the one that is left. */
const farTimeoutMs = 10_000
/** For so long an array that did not answer is not asked again. */
const farSilenceMs = 15_000

export const createNear = (api: Wsapi, system: System, settings: Settings, secondMs: number): Near => {
  let far: { readonly api: Wsapi } | undefined
  let silentUntil = 0
  return {
    api, settings, system, secondMs,
    async far(ctx) {
      const access = settings.peer?.access
      if (access === undefined || ctx.clock.now() < silentUntil) return undefined
      if (far !== undefined) return far.api
      try {
        far = { api: await connectWsapi({ url: access.url, user: access.user, password: access.password, tls: access.tls, log: ctx.log, timeoutMs: farTimeoutMs, pauses: [], sessions: 1 }, ctx.signal) }
        return far.api
      } catch (error) {
        ctx.signal.throwIfAborted()
        ctx.log.warn({ array: access.url, found: error instanceof Error ? error.message : String(error) }, 'the array on the other side cannot be asked')
        silentUntil = ctx.clock.now() + farSilenceMs
        return undefined
      }
    },
    async close() {
      await Promise.all([api.close(), far?.api.close()])
    },
  }
}

/** Asks the far array; whatever fails there is "it does not answer", never a failure of the near one. */
export const askFar = async <T>(ctx: ArrayCtx, near: Near, ask: (far: Wsapi) => Promise<T>): Promise<T | undefined> => {
  const far = await near.far(ctx)
  if (far === undefined) return undefined
  try {
    return await ask(far)
  } catch (error) {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ found: error instanceof Error ? error.message : String(error) }, 'the array on the other side did not answer')
    return undefined
  }
}

/**
 * Waits until the array shows what was asked of it: some actions run on behind their answer. Fails with outcomeUnknown, saying what was seen
 * last, when it does not come within `waitMs`.
 */
export const until = async <T>(ctx: ArrayCtx, what: string, look: () => Promise<T>, good: (seen: T) => boolean, tell: (seen: T) => string, waitMs = 60_000): Promise<T> => {
  const deadline = performance.now() + waitMs
  for (let step = 50; ; step = Math.min(step * 2, 2_000)) {
    const seen = await look()
    if (good(seen)) return seen
    if (performance.now() > deadline) {
      throw new StorageError('outcomeUnknown', `${what}: the array took the request and does not show its effect after ${waitMs / 1000} s: ${tell(seen)}`, {
        layer: 'array:hpe-3par', mayHaveChanged: true, remedy: 'See the tasks of the array (showtask), then look at the state again',
      })
    }
    await pause(step, ctx.signal)
  }
}
