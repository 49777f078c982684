/**
 * How another process drives a running simulator: one JSON request, one JSON answer over HTTP on a socket in the state
 * directory, which only its owner can open. It serves what arrays do not offer: hosts that read and write, links that break.
 */
import { rmSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import * as z from 'zod'
import { errorFromReport, reportError, StorageError, toStorageError, type ErrorReport } from '../../../../core/errors.ts'
import type { RunningArray, RunningArrays } from './start.ts'

const array = { array: z.string() }
const seen = { ...array, host: z.string(), wwn: z.string(), offset: z.number() }

const controlRequest = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('read'), ...seen, length: z.number() }),
  z.strictObject({ do: z.literal('write'), ...seen, data: z.string() }),
  z.strictObject({ do: z.literal('link'), state: z.enum(['cut', 'restored']).optional(), latencyMs: z.number().min(0).optional() }),
  z.strictObject({ do: z.literal('power'), ...array, on: z.boolean() }),
  z.strictObject({ do: z.literal('latency'), ...array, milliseconds: z.number().min(0) }),
  z.strictObject({
    do: z.literal('fault'), ...array, match: z.string(), effect: z.enum(['error', 'lost', 'drop', 'hang', 'hangAfter', 'expire', 'unavailable', 'slow']),
    nth: z.number().optional(), times: z.number().optional(), status: z.number().optional(), code: z.number().optional(), desc: z.string().optional(), delayMs: z.number().optional(),
  }),
  z.strictObject({ do: z.literal('clearFaults'), ...array }),
  z.strictObject({ do: z.literal('requests'), ...array }),
  z.strictObject({ do: z.literal('files'), ...array }),
])
export type ControlRequest = z.output<typeof controlRequest>

const layer = 'simulator'
const socketOf = (stateDirectory: string): string => join(stateDirectory, 'control.sock')
/** Enough for a write of a few hundred MiB in base64. */
const longest = 0x2000_0000

const textOf = async (message: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of message as AsyncIterable<Buffer>) {
    size += part.length
    if (size > longest) throw new StorageError('invalidArgument', 'The request is too long', { layer, remedy: 'Write in smaller pieces' })
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

const needArray = ({ arrays }: RunningArrays, name: string): RunningArray => {
  const found = arrays.find((one) => one.name === name)
  if (found === undefined) throw new StorageError('notFound', `There is no array ${name}`, { field: 'array', layer, remedy: `One of: ${arrays.map((one) => one.name).join(', ')}` })
  return found
}

const perform = async (running: RunningArrays, request: ControlRequest): Promise<unknown> => {
  switch (request.do) {
    case 'read': return { data: (await needArray(running, request.array).read(request, request.offset, request.length)).toString('base64') }
    case 'write':
      await needArray(running, request.array).write(request, request.offset, Buffer.from(request.data, 'base64'))
      return {}
    case 'link':
      if (request.latencyMs !== undefined) running.link.latencyMs = request.latencyMs
      if (request.state === 'cut') running.link.cut()
      if (request.state === 'restored') running.link.restore()
      return {}
    case 'power':
      needArray(running, request.array).power(request.on)
      return {}
    case 'latency':
      needArray(running, request.array).latency(request.milliseconds)
      return {}
    case 'fault': {
      const { do: _, array: name, match, effect, ...more } = request
      const given = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined))
      needArray(running, name).fault({ match, effect, ...given })
      return {}
    }
    case 'clearFaults':
      needArray(running, request.array).clearFaults()
      return {}
    case 'requests': return needArray(running, request.array).requests()
    case 'files': return needArray(running, request.array).files()
  }
}

const parse = (text: string): ControlRequest => {
  const result = controlRequest.safeParse(JSON.parse(text))
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new StorageError('invalidArgument', `${issue?.path.join('.') ?? 'request'}: ${issue?.message ?? 'not understood'}`, { ...(issue === undefined ? {} : { field: issue.path.join('.') }), layer, remedy: 'sim-arrays --help shows what there is' })
}

/** Opens the socket of a running simulator. The directory is ours alone: a socket that is there was left by a process that died. */
export const serveControl = async (running: RunningArrays, stateDirectory: string): Promise<{ close(): Promise<void> }> => {
  const path = socketOf(stateDirectory)
  rmSync(path, { force: true })
  const answer = async (message: IncomingMessage): Promise<unknown> => {
    try {
      return { result: await perform(running, parse(await textOf(message))) }
    } catch (error) {
      return { error: reportError(toStorageError(error, layer)) }
    }
  }
  const server = createServer((message, response) => void answer(message).then((body) => response.end(JSON.stringify(body))))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return {
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Has the simulator on `stateDirectory` do something. Errors: what it refuses, and `unreachable` when none runs there. */
export const askSimulator = async (stateDirectory: string, request: ControlRequest): Promise<unknown> => {
  const text = await new Promise<string>((resolve, reject) => {
    const sent = httpRequest({ socketPath: socketOf(stateDirectory), method: 'POST', path: '/' }, (response) => void textOf(response).then(resolve, reject))
    sent.on('error', (cause) => reject(new StorageError('unreachable', `No simulator runs on ${stateDirectory}`, { field: 'state', layer, cause, remedy: `Start it: sim-arrays --state ${stateDirectory}` })))
    sent.end(JSON.stringify(request))
  })
  const answer = JSON.parse(text) as { readonly result?: unknown; readonly error?: ErrorReport }
  if (answer.error !== undefined) throw errorFromReport(answer.error)
  return answer.result
}
