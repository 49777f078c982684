/** How the daemon reads whole directories. One place: the worker of stores/image-files takes it over. */
import { StorageError } from '../core/errors.ts'
import type { Scanner } from '../core/ports.ts'

export interface DaemonScanner {
  readonly scanner: Scanner
  close(): Promise<void>
}

const notJoinedIn = async (directory: string): Promise<never> => {
  throw new StorageError('notSupported', `${directory} cannot be scanned: no reader of directories is joined in`, { layer: 'cli', remedy: 'Use an SR type that keeps no files' })
}

export const createScanner = (): DaemonScanner => ({
  scanner: { images: notJoinedIn, texts: notJoinedIn },
  close: async () => undefined,
})
