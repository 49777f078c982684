/** Entry of the scan worker thread: it lives as long as its process and keeps what it has read. */
import { setImmediate as lookUp } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { errorToWire } from '../../../host/error-wire.ts'
import { batchSize, knownFormat } from './direct.ts'
import type { ScanReply, ScanRequest } from './messages.ts'
import { createDirectoryReader } from './read-directory.ts'

const reader = createDirectoryReader()
const cancelled = new Set<number>()

const serve = async (request: ScanRequest, answer: (reply: ScanReply) => void): Promise<void> => {
  const { id } = request
  try {
    if (request.want === 'images') {
      for await (const rows of reader.images(request.directory, knownFormat(request.format), batchSize)) {
        answer({ id, rows })
        await lookUp()
        if (cancelled.delete(id)) return
      }
    } else if (request.want === 'texts') {
      answer({ id, texts: await reader.texts(request.directory, request.suffix, request.limit) })
    }
    answer({ id, done: true })
  } catch (error) {
    answer({ id, failed: errorToWire(error) })
  }
}

parentPort?.on('message', (request: ScanRequest) => {
  if (request.want === 'cancel') cancelled.add(request.id)
  else void serve(request, (reply) => parentPort?.postMessage(reply))
})
