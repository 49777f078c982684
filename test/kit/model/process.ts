/**
 * A model process: everything it does to the world passes here, one step at a time, so that tests can count the steps,
 * stop the process at any of them, or let one fail. Of a dead process no call ever returns.
 */

export interface Step {
  /** Name of the call: `write`, `rename`, `run lvcreate`, `record put` ... */
  readonly call: string
  /** What it is done to. */
  readonly target: string
  readonly effect: 'read' | 'write'
}

/** How a step can go wrong while the process lives on. */
export interface Fault {
  readonly when: (step: Step) => boolean
  /** A system error code; `hang`: never answers. */
  readonly fails: string
  /** The step is done nevertheless, only its answer is lost. */
  readonly done?: true
  /** Goes away after so many times; for ever when absent. */
  times?: number
}

export interface ModelProcess {
  readonly alive: boolean
  /** Steps that changed something, as far as done: `write /srv/x @0+512`. */
  readonly steps: readonly string[]
  perform<T>(step: Step, act: () => T | Promise<T>): Promise<T>
  /** For what the ports answer at once. A dead process throws, and nobody hears it. */
  performNow<T>(step: Step, act: () => T): T
  /** Done when it dies: what a kernel takes back from a dead process. */
  atDeath(act: () => void): void
  kill(): void
}

export interface ProcessWatch {
  readonly faults?: readonly Fault[]
  /** Before and after each step that changes something. */
  readonly onStep?: (step: Step, number: number, moment: 'before' | 'after') => void
}

const never = async (): Promise<never> => new Promise(() => undefined)

/** An error as Node throws it. */
export const systemError = (code: string, step: { readonly call: string; readonly target: string }): Error =>
  Object.assign(new Error(`${code}: ${step.call} '${step.target}'`), { code, syscall: step.call, path: step.target })

export const createProcess = (watch: ProcessWatch = {}): ModelProcess => {
  const steps: string[] = []
  const atDeath: (() => void)[] = []
  let alive = true

  const faultAt = (step: Step): Fault | undefined => {
    const fault = watch.faults?.find((one) => one.times !== 0 && one.when(step))
    if (fault?.times !== undefined) fault.times -= 1
    return fault
  }

  return {
    get alive() {
      return alive
    },
    steps,
    async perform(step, act) {
      // Every call gives way once, as a real one does: others run in between.
      await Promise.resolve()
      if (!alive) return never()
      const fault = faultAt(step)
      if (fault !== undefined && fault.done !== true) return fault.fails === 'hang' ? never() : Promise.reject(systemError(fault.fails, step))
      const number = steps.length + 1
      if (step.effect === 'write') watch.onStep?.(step, number, 'before')
      if (!alive) return never()
      const answer = await act()
      if (step.effect === 'write') {
        steps.push(`${step.call} ${step.target}`)
        watch.onStep?.(step, number, 'after')
      }
      if (!alive) return never()
      if (fault !== undefined) return fault.fails === 'hang' ? never() : Promise.reject(systemError(fault.fails, step))
      return answer
    },
    performNow(step, act) {
      if (!alive) throw new Error('a dead process does nothing')
      const fault = faultAt(step)
      if (fault !== undefined && fault.done !== true) throw systemError(fault.fails, step)
      const number = steps.length + 1
      if (step.effect === 'write') watch.onStep?.(step, number, 'before')
      if (!alive) throw new Error('a dead process does nothing')
      const answer = act()
      if (step.effect === 'write') {
        steps.push(`${step.call} ${step.target}`)
        watch.onStep?.(step, number, 'after')
      }
      if (fault !== undefined) throw systemError(fault.fails, step)
      return answer
    },
    atDeath: (act) => void atDeath.push(act),
    kill() {
      alive = false
      for (const act of atDeath.splice(0)) act()
    },
  }
}
