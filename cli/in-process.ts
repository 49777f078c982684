/** The engine in a short executable, with the settings of the daemon's configuration so that both know the same drivers. */
import { createPinoLog, silentLog } from '../host/log.ts'
import { createDirectScanner } from '../stores/image-files/scan/direct.ts'
import type { Caller, InProcessOptions } from './caller.ts'
import { composeEngine } from './compose.ts'
import { readSettings } from './config.ts'

export const openInProcess = async ({ stateDirectory, logLevel, elsewhere }: InProcessOptions): Promise<Caller> => {
  const settings = readSettings(stateDirectory)
  const compose = async (): Promise<Caller> => {
    const log = logLevel === undefined ? silentLog : await createPinoLog(logLevel)
    const engine = await composeEngine({ stateDirectory, log, scanner: createDirectScanner(), externalDrivers: settings.drivers })
    return {
      via: 'in this process',
      daemon: undefined,
      callByName: async (method, params, options) => engine.callByName(method, params, options),
      close: async () => engine.close(),
    }
  }
  return elsewhere === undefined || settings.socket === undefined ? compose() : elsewhere(settings.socket, compose)
}
