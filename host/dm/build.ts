/** Command lines of dmsetup: what is needed when LVM cannot help any more because its devices are gone. */
import type { Command } from '../../core/ports.ts'

const timeoutMs = 30_000

/** All maps of this host, a line each: name, uuid, open count, suspended or not, joined by a bar. */
export const listMaps = (): Command => ({
  argv: ['dmsetup', 'info', '--columns', '--noheadings', '--separator', '|', '-o', 'name,uuid,open,suspended'],
  timeoutMs, effect: 'read',
})

/** Retries for some seconds while udev still looks at it. Fails for a map that is open. */
export const removeMap = (name: string): Command => ({ argv: ['dmsetup', 'remove', '--retry', name], timeoutMs, effect: 'write' })

export const resumeMap = (name: string): Command => ({ argv: ['dmsetup', 'resume', name], timeoutMs, effect: 'write' })
