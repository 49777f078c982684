/** The answer to a request: by the daemon where one listens, else made in this process, with the arrays that are configured at this site. */
import '../one-shot.ts'
import { toStorageError } from '../../core/errors.ts'
import { silentLog } from '../../host/log.ts'
import { answer, type Outlet } from '../../sra/answer.ts'
import { adapterOf } from '../../sra/adapter.ts'
import { errorMessage } from '../../sra/messages.ts'
import { refusalText } from '../../sra/refusal.ts'
import type { RequestRead } from '../../sra/request.ts'
import { writeResponse } from '../../sra/response.ts'
import { commandRow } from '../../sra/schema/index.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { openDaemon, type Caller } from '../caller.ts'
import { composeForArrays } from '../compose.ts'
import { stateDirectory } from '../state-directory.ts'
import type { SraSettings } from './settings.ts'

export interface Run {
  readonly runId: string
  readonly signal: AbortSignal
  readonly version: string
  readonly builtOn: string
}

const signatureOf = ({ version, builtOn }: Run, arrayType: string): string => `Storage Manager Replication Adapter (${arrayType}), version ${version}, built ${builtOn}`

const throughDaemon = async (daemon: Caller, xml: string, settings: SraSettings, run: Run, outlet: Outlet): Promise<string> => {
  try {
    const { response, log } = (await daemon.callByName('SiteRecovery.answer', { array_type: settings.arrayType, request: xml, signature: signatureOf(run, settings.arrayType) }, {
      signal: run.signal, onProgress: (done, total) => outlet.progress(Math.floor((done * 100) / Math.max(1, total))),
    })) as { readonly response: string; readonly log: readonly string[] }
    for (const text of log) outlet.line(text)
    // The last word on progress may be overtaken by the response.
    outlet.progress(100)
    return response
  } finally {
    await daemon.close()
  }
}

const inProcess = async (read: RequestRead, settings: SraSettings, run: Run, outlet: Outlet): Promise<string> => {
  const { host, arrays, clock } = composeForArrays({ stateDirectory: stateDirectory(settings.stateDirectory), log: silentLog, scanner: createDirectScanner() })
  const adapter = adapterOf(await arrays.registry.load(settings.arrayType), run.version)
  return answer(read, { adapter, arrays, host, clock, signature: signatureOf(run, settings.arrayType), runId: run.runId, signal: run.signal }, outlet)
}

/** Never throws: from here on there is a place for a response. What the adapter says of itself needs no daemon. */
export const respond = async (read: RequestRead, xml: string, settings: SraSettings, run: Run, outlet: Outlet): Promise<string> => {
  try {
    const connects = read.request !== undefined && commandRow(read.request.command).connects
    const daemon = connects && settings.daemon !== 'never' ? await openDaemon(settings) : undefined
    return daemon === undefined ? await inProcess(read, settings, run, outlet) : await throughDaemon(daemon, xml, settings, run, outlet)
  } catch (thrown) {
    const error = toStorageError(thrown, 'sra')
    outlet.line(`${new Date().toISOString()} [error] [${run.runId}] ${refusalText(error)}`)
    return writeResponse('queryInfo', { error: errorMessage(error) })
  }
}
