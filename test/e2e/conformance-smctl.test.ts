/** smctl holds the sentences about life cycles and reports, in its own process, and those about SRs through a daemon. */
import { smctl, smctlAndSmd } from './callers.ts'
import { describePart } from './front-topics.ts'

describePart({ name: 'through smctl', front: smctl, topics: ['SR reports', 'VDI life cycle'] })
describePart({ name: 'through smctl and the daemon', front: smctlAndSmd, topics: ['SR life cycle'] })
