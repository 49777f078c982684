/**
 * The ext driver survives a crash at every step of the calls in which it writes to devices and mounts itself. What happens inside
 * its file system is the image store's, which file.test.ts explores; CRASH_SCHEDULES=all explores it here, too.
 */
import { extWorld } from '../kit/ext-harness.ts'
import { describeCrashes } from '../kit/crash/vitest.ts'

describeCrashes(extWorld, { share: 0.05, usual: ({ call: [method] }) => method.startsWith('SR.') && method !== 'SR.collect' })
