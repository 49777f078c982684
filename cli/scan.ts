/** How this process reads whole directories: the daemon in a worker thread that stays, a short process by itself. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { createWorkerScanner } from '../stores/image-files/scan/worker-scanner.ts'
import type { Scanner } from '../core/ports.ts'

export interface DaemonScanner {
  readonly scanner: Scanner
  close(): Promise<void>
}

/** From sources the worker is TypeScript and needs a loader; in the bundle it is a file beside this one. */
const fromSources = import.meta.url.endsWith('.ts')

/** A worker of a process that runs under the loader does not inherit it (Node 20): it has to register the loader itself. */
const underLoader = (worker: string): URL => {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api').replace(/cjs$/, 'mjs')).href
  const code = `import { register } from ${JSON.stringify(loader)}\nregister()\nawait import(${JSON.stringify(new URL(worker, import.meta.url).href)})`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}

export const createScanner = (): DaemonScanner => {
  const scanner = createWorkerScanner(fromSources ? underLoader('../stores/image-files/scan/worker.ts') : new URL('./scan-worker.js', import.meta.url))
  return { scanner, close: async () => scanner.close() }
}
