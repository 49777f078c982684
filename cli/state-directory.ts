/** Where this host keeps its state and where the daemon listens. Imports no schema: every short command needs it. */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { StorageError } from '../core/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The flag, else STORAGE_MANAGER_STATE, else /var/lib/storage-manager for root and the XDG state directory for others
 * (XDG Base Directory Specification: XDG_STATE_HOME, relative ones are to be ignored).
 */
export const stateDirectory = (flag: string | undefined, env: Environment = process.env): string => {
  const asked = flag ?? env['STORAGE_MANAGER_STATE']
  if (asked === '') {
    throw new StorageError('invalidArgument', 'The state directory is empty', { field: 'state-directory', layer: 'cli', remedy: 'Name a directory with --state-directory or STORAGE_MANAGER_STATE, or leave both out' })
  }
  if (asked !== undefined) return resolve(asked)
  if (process.getuid?.() === 0) return '/var/lib/storage-manager'
  const xdg = env['XDG_STATE_HOME']
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.local', 'state'), 'storage-manager')
}

/** The daemon's configuration, where there is one. */
export const configPath = (directory: string): string => join(directory, 'config.json')

/** The daemon's socket unless its configuration says otherwise. */
export const defaultSocket = (directory: string): string => join(directory, 'run', 'smd.sock')

/** Where a command finds the daemon: the flag, else STORAGE_MANAGER_SOCKET, else the default of the state directory. */
export const socketPath = (flag: string | undefined, directory: string, env: Environment = process.env): string =>
  flag ?? env['STORAGE_MANAGER_SOCKET'] ?? defaultSocket(directory)
