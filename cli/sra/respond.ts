/** The answer to a request, made in this process with the arrays that are configured at this site. */
import '../one-shot.ts'
import { silentLog } from '../../host/log.ts'
import { answer, type Outlet } from '../../sra/answer.ts'
import { adapterOf } from '../../sra/adapter.ts'
import type { RequestRead } from '../../sra/request.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { composeForArrays } from '../compose.ts'
import { stateDirectory } from '../state-directory.ts'
import type { SraSettings } from './settings.ts'

export interface Run {
  readonly runId: string
  readonly signal: AbortSignal
  readonly version: string
  readonly builtOn: string
}

export const signatureOf = ({ version, builtOn }: Pick<Run, 'version' | 'builtOn'>, arrayType: string): string => `Storage Manager Replication Adapter (${arrayType}), version ${version}, built ${builtOn}`

export const respond = async (read: RequestRead, settings: SraSettings, run: Run, outlet: Outlet): Promise<string> => {
  const { host, arrays, clock } = composeForArrays({ stateDirectory: stateDirectory(settings.stateDirectory), log: silentLog, scanner: createDirectScanner() })
  const adapter = adapterOf(await arrays.registry.load(settings.arrayType), run.version)
  return answer(read, { adapter, arrays, host, clock, signature: signatureOf(run, settings.arrayType), runId: run.runId, signal: run.signal }, outlet)
}
