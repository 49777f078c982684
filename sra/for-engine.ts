/** Answers a request inside an engine: the log is handed back with the response, as it belongs to whoever asked. */
import type { Arrays, SiteRecovery } from '../core/array/ports.ts'
import type { ArrayCtx } from '../core/array/types.ts'
import { adapterOf } from './adapter.ts'
import { answer } from './answer.ts'
import { readRequest } from './request.ts'

export const answerInEngine: SiteRecovery = async ({ arrayType, request, signature, version }, arrays: Arrays, ctx: ArrayCtx) => {
  const read = await readRequest(request)
  const adapter = adapterOf(await arrays.registry.load(arrayType), version)
  const log: string[] = []
  const response = await answer(read, { adapter, arrays, host: ctx.host, clock: ctx.clock, signature, runId: ctx.callId.slice(0, 8), signal: ctx.signal }, {
    line: (text) => log.push(text), progress: (percent) => ctx.progress(percent, 100),
  })
  return { response, log }
}
