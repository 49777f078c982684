/** How this process reads whole directories: the daemon in a worker thread that stays, a short process by itself. */
import { createWorkerScanner } from '../stores/image-files/scan/worker-scanner.ts'
import type { Scanner } from '../core/ports.ts'

export interface DaemonScanner {
  readonly scanner: Scanner
  close(): Promise<void>
}

/** From sources the worker is TypeScript and needs the loader; in the bundle it is a file beside this one. */
const fromSources = import.meta.url.endsWith('.ts')

export const createScanner = (): DaemonScanner => {
  const scanner = fromSources
    ? createWorkerScanner(new URL('../stores/image-files/scan/worker.ts', import.meta.url), ['--import', 'tsx'])
    : createWorkerScanner(new URL('./scan-worker.js', import.meta.url))
  return { scanner, close: async () => scanner.close() }
}
