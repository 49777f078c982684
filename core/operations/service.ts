/** Tasks, drivers and the service itself. */
import * as z from 'zod'
import { contractVersion } from '../contract.ts'
import { StorageError } from '../errors.ts'
import { isMethod, methodNames, type MethodName, type Params, type Result } from '../methods/index.ts'
import type { Call } from '../call.ts'

type Handler<M extends MethodName> = (call: Call, params: Params<M>) => Promise<Result<M>>

/** Runs a call by name in the background; given by the engine, which is the only one who can call itself. */
export type RunInBackground = (method: string, params: unknown, signal: AbortSignal, progress: (done: number, total: number) => void) => Promise<unknown>

const startTask = (run: RunInBackground): Handler<'Task.start'> => async (call, params) => {
  if (!isMethod(params.method) || params.method.startsWith('Task.')) {
    throw new StorageError('invalidArgument', `method: ${JSON.stringify(params.method)} is no call that can run as a task`, {
      field: 'method', layer: 'engine', remedy: `One of: ${methodNames.filter((name) => !name.startsWith('Task.')).join(', ')}`,
    })
  }
  return { task: call.engine.tasks.start(params.method, async (signal, progress) => run(params.method, params.params, signal, progress)) }
}

const listDrivers: Handler<'Driver.list'> = async (call) => ({
  drivers: await Promise.all(call.engine.drivers.types.map(async (type) => {
    const driver = await call.engine.drivers.load(type)
    return {
      type: driver.type,
      executable: `${driver.executable}SR`,
      title: driver.title,
      summary: driver.summary,
      contract: driver.contract,
      features: [...driver.features],
      sr_operations: [...driver.srOperations],
      content_type: driver.contentType,
      shared: driver.limits.shared,
      min_vdi_size: driver.limits.minVdiSize,
      max_vdi_size: driver.limits.maxVdiSize,
      size_step: driver.limits.sizeStep,
      ...(driver.limits.maxChain === undefined ? {} : { max_chain: driver.limits.maxChain }),
      tools: driver.tools.map((tool) => ({ name: tool.name, debian_package: tool.debianPackage, needed_for: tool.neededFor })),
      dconf: z.toJSONSchema(driver.dconf, { io: 'input' }) as Record<string, unknown>,
      example: { ...driver.example },
    }
  })),
})

const status: Handler<'Host.status'> = async (call) => {
  const { engine } = call
  const srs = engine.records.listSrs()
  return {
    version: engine.version,
    contract: contractVersion,
    host: engine.host.id,
    pid: process.pid,
    started: new Date(engine.startedMs).toISOString(),
    state_directory: engine.stateDirectory,
    running_calls: engine.runningCalls(),
    srs: srs.length,
    attached_srs: srs.filter((sr) => sr.attachedInBoot === engine.host.bootId).length,
  }
}

export const serviceOperations = (run: RunInBackground) => ({
  'Task.start': startTask(run),
  'Task.get_state': async (call: Call, params: Params<'Task.get_state'>) => call.engine.tasks.get(params.task),
  'Task.wait': async (call: Call, params: Params<'Task.wait'>) => call.engine.tasks.wait(params.task, params.timeout_seconds * 1000, call.signal),
  'Task.list': async (call: Call) => ({ tasks: [...call.engine.tasks.list()] }),
  'Task.cancel': async (call: Call, params: Params<'Task.cancel'>) => call.engine.tasks.cancel(params.task),
  'Task.destroy': async (call: Call, params: Params<'Task.destroy'>) => ({ changed: call.engine.tasks.destroy(params.task) }),
  'Driver.list': listDrivers,
  'Host.status': status,
})
