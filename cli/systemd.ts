/**
 * Socket activation (sd_listen_fds(3)): the sockets that the service manager has opened for this process.
 *
 * Readiness is not announced: sd_notify(3) wants a datagram on a unix socket, which Node cannot send without a native module
 * or a helper process. The unit is Type=exec, and with smd.socket nobody has to know when the daemon is ready: the socket
 * exists before it and keeps early callers waiting.
 */
import type { Environment } from './state-directory.ts'

const firstFd = 3

/** Descriptors meant for process `pid`; none when the variables are absent or were inherited from a parent. */
export const activatedSockets = (env: Environment, pid: number): readonly number[] => {
  if (env['LISTEN_PID'] !== String(pid)) return []
  const count = Number(env['LISTEN_FDS'])
  return Number.isInteger(count) && count > 0 && count < 64 ? Array.from({ length: count }, (_, index) => firstFd + index) : []
}

/** Host tools must not take the sockets for theirs. */
export const forgetActivation = (env: Record<string, string | undefined>): void => {
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
}
