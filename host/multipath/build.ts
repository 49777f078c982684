/** Argument vectors of multipath(8) and multipathd(8). */
import type { Command } from '../../core/ports.ts'

/** Asking the daemon; status 1: it does not run, or knows nothing of that name. */
const ask = (...words: readonly string[]): Command => ({ argv: ['multipathd', ...words], timeoutMs: 20_000, effect: 'read', accept: [0, 1] })

export const showDaemonCommand = ask('show', 'daemon')
export const showMapsCommand = ask('show', 'maps', 'json')

/** Makes the daemon look at a disk again that it may have passed over when it appeared. */
export const addPathCommand = (name: string): Command => ({ argv: ['multipathd', 'add', 'path', name], timeoutMs: 20_000, effect: 'write', accept: [0, 1] })
/** Gives the map the size of its paths. */
export const resizeMapCommand = (map: string): Command => ({ argv: ['multipathd', 'resize', 'map', map], timeoutMs: 20_000, effect: 'write', accept: [0, 1] })
/** Takes a map away; status 1: it is in use, or is no map. */
export const flushMapCommand = (map: string): Command => ({ argv: ['multipath', '-f', map], timeoutMs: 60_000, effect: 'write', accept: [0, 1] })
