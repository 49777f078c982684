/** Misfortune by script: what goes wrong with the n-th request that matches, and how. */

export interface Fault {
  /** `METHOD /path` below /api/v1, with `*` for anything: `POST /volumes`, `PUT /remotecopygroups/*`, `*`. */
  readonly match: string
  /** Which matching request is the first to be hit, counted from 1. Default 1. */
  readonly nth?: number
  /** How many in a row are hit. Default 1; Infinity until it is released. */
  readonly times?: number
  /**
   * error: refused with `status` and `code`, nothing done. lost: done, the connection breaks before the answer. drop: the
   * connection breaks, nothing done. hang: nothing done, never an answer. hangAfter: done, never an answer. expire: the session is gone (403/6).
   * unavailable: 503 without a body. slow: done after `delayMs`.
   */
  readonly effect: 'error' | 'lost' | 'drop' | 'hang' | 'hangAfter' | 'expire' | 'unavailable' | 'slow'
  readonly status?: number
  readonly code?: number
  readonly desc?: string
  readonly delayMs?: number
}

export interface PlannedFault {
  /** How many requests it has hit. */
  hits(): number
  release(): void
}

interface Plan {
  readonly fault: Fault
  readonly pattern: RegExp
  seen: number
  hit: number
}

export interface Faults {
  add(fault: Fault): PlannedFault
  /** The fault that hits this request; counts it. */
  next(request: string): Fault | undefined
  clear(): void
}

const patternOf = (match: string): RegExp => new RegExp(`^${match.split('*').map((part) => part.replace(/[.\\^$+?(){}|[\]]/g, '\\$&')).join('.*')}$`)

export const createFaults = (): Faults => {
  const plans: Plan[] = []
  return {
    add: (fault) => {
      const plan: Plan = { fault, pattern: patternOf(fault.match), seen: 0, hit: 0 }
      plans.push(plan)
      return { hits: () => plan.hit, release: () => void (plans.includes(plan) && plans.splice(plans.indexOf(plan), 1)) }
    },
    next: (request) => {
      const matching = plans.filter(({ pattern }) => pattern.test(request))
      for (const plan of matching) plan.seen += 1
      const plan = matching.find(({ seen, fault: { nth = 1, times = 1 } }) => seen >= nth && seen < nth + times)
      if (plan !== undefined) plan.hit += 1
      return plan?.fault
    },
    clear: () => void plans.splice(0),
  }
}
