/**
 * The way from a short executable to the engine: through the daemon when its socket answers, else in this process. Both give
 * the same answers; through the daemon neither engine nor zod is loaded.
 */
import type { CallOptions } from '../core/caller.ts'
import type { Settings } from './settings.ts'

export interface Caller {
  readonly via: 'daemon' | 'in-process'
  call(method: string, params: unknown, options: CallOptions): Promise<unknown>
  close(): Promise<void>
}

const openInProcess = async (settings: Settings): Promise<Caller> => {
  const { composeEngine } = await import('./compose.ts')
  const { silentLog } = await import('../host/log.ts')
  const engine = await composeEngine({
    stateDirectory: settings.stateDirectory,
    log: silentLog,
    scanner: { images: async () => [], texts: async () => undefined },
    externalDrivers: settings.externalDrivers,
  })
  return {
    via: 'in-process',
    call: async (method, params, options) => engine.callByName(method, params, options),
    close: async () => engine.close(),
  }
}

export const openCaller = async (settings: Settings): Promise<Caller> => openInProcess(settings)
