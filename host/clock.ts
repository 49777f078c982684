/** The one place that reads the time of day. */
import type { Clock } from '../core/ports.ts'

export const systemClock: Clock = { now: () => Date.now() }
