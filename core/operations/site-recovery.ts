/** Hands a request of Site Recovery to the front end that whoever composed the engine has given it. */
import type { Call } from '../call.ts'
import { StorageError } from '../errors.ts'
import type { Params, Result } from '../methods/index.ts'
import { arrayCtx } from './open-array.ts'

export const siteRecoveryOperations = {
  'SiteRecovery.answer': async (call: Call, params: Params<'SiteRecovery.answer'>): Promise<Result<'SiteRecovery.answer'>> => {
    const { siteRecovery, arrays, version } = call.engine
    if (siteRecovery === undefined) throw new StorageError('notSupported', 'This storage manager was started without Site Recovery', { layer: 'engine', remedy: 'Run the adapter in a process of its own: sra --in-process' })
    const { response, log } = await siteRecovery({ arrayType: params.array_type, request: params.request, signature: params.signature, version }, arrays, arrayCtx(call))
    return { response, log: [...log] }
  },
}
