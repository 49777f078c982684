/** The engine in a short executable, with the settings of the daemon's configuration so that both know the same drivers. */
import './one-shot.ts'
import { existsSync } from 'node:fs'
import { createPinoLog, silentLog } from '../host/log.ts'
import { createDirectScanner } from '../stores/image-files/scan/direct.ts'
import type { Caller, InProcessOptions } from './caller.ts'
import { composeEngine } from './compose.ts'
import { configPath } from './state-directory.ts'

interface Configured {
  readonly drivers: readonly string[]
  readonly socket?: string | undefined
}

/** The schema of the configuration is read only where there is one. */
const configured = async (stateDirectory: string): Promise<Configured> => {
  if (!existsSync(configPath(stateDirectory))) return { drivers: [] }
  const { readSettings } = await import('./config.ts')
  return readSettings(stateDirectory)
}

export const openInProcess = async ({ stateDirectory, logLevel, elsewhere }: InProcessOptions): Promise<Caller> => {
  const { drivers, socket } = await configured(stateDirectory)
  const compose = async (): Promise<Caller> => {
    const log = logLevel === undefined ? silentLog : await createPinoLog(logLevel)
    const engine = await composeEngine({ stateDirectory, log, scanner: createDirectScanner(), externalDrivers: drivers })
    return {
      via: 'in this process',
      daemon: undefined,
      callByName: async (method, params, options) => engine.callByName(method, params, options),
      close: async () => engine.close(),
    }
  }
  return elsewhere === undefined || socket === undefined ? compose() : elsewhere(socket, compose)
}
