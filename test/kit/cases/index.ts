/** The suite, topic by topic. */
import type { Topic } from '../case.ts'
import { attach } from './attach.ts'
import { collector } from './collector.ts'
import { concurrency } from './concurrency.ts'
import { copies } from './copies.ts'
import { hosts } from './hosts.ts'
import { input } from './input.ts'
import { locks } from './locks.ts'
import { repeats } from './repeats.ts'
import { secrets } from './secrets.ts'
import { sizes } from './sizes.ts'
import { srLifeCycle } from './sr-life-cycle.ts'
import { srReports } from './sr-reports.ts'
import { tasks } from './tasks.ts'
import { trouble } from './trouble.ts'
import { vdiLifeCycle } from './vdi-life-cycle.ts'

export const topics: readonly Topic[] = [
  srLifeCycle, srReports, vdiLifeCycle, sizes, attach, copies, locks, collector, repeats, concurrency, tasks, input, secrets, trouble, hosts,
]
