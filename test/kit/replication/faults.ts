/** What can happen to one array call, and an array whose n-th call meets that fate. Counts over both arrays of a site, in order. */
import type { OpenArray } from '../../../core/array/contract.ts'
import { StorageError } from '../../../core/errors.ts'

export const fates = ['fails', 'reply lost', 'link cut', 'killed before', 'killed after', 'silent for ever'] as const
export type Fate = (typeof fates)[number]

/** The process is gone: nothing it would have done next happens. */
class Killed extends Error {}

export interface FaultPlan {
  /** Counted from 1; 0: nothing happens, calls are only counted. */
  readonly at: number
  readonly fate: Fate
  readonly cutLink: () => Promise<void>
  /** After each call that came back: what must always hold. */
  readonly watch: (call: string) => Promise<void>
  /** Told the call that was hit. */
  hit?: string
  calls: number
  dead: boolean
}

type Call = (...args: readonly unknown[]) => Promise<unknown>

const meets = async (plan: FaultPlan, name: string, call: () => Promise<unknown>): Promise<unknown> => {
  if (plan.dead) throw new Killed('the process is gone')
  plan.calls += 1
  if (plan.calls !== plan.at) {
    const answer = await call()
    await plan.watch(name)
    return answer
  }
  plan.hit = name
  const die = (): never => {
    plan.dead = true
    throw new Killed(`killed at ${name}`)
  }
  const outcomes: Readonly<Record<Fate, () => Promise<unknown>>> = {
    'fails': async () => {
      throw new StorageError('arrayFault', `${name} was refused (fault of the test)`, { layer: 'test' })
    },
    'reply lost': async () => {
      await call()
      throw new StorageError('outcomeUnknown', `the reply of ${name} was lost (fault of the test)`, { layer: 'test' })
    },
    'link cut': async () => {
      await plan.cutLink()
      return call()
    },
    'killed before': async () => die(),
    'killed after': async () => {
      await call()
      return die()
    },
    'silent for ever': async () => new Promise(() => undefined),
  }
  const answer = await outcomes[plan.fate]()
  await plan.watch(name)
  return answer
}

const wrapped = (section: object, plan: FaultPlan, only?: readonly string[]): object => Object.fromEntries(Object.entries(section).map(([name, call]) =>
  [name, typeof call === 'function' && (only === undefined || only.includes(name)) ? async (...args: readonly unknown[]) => meets(plan, name, async () => (call as Call)(...args)) : call]))

/** Of the array itself what replicated volumes are made and deleted with. */
export const withFaults = (array: OpenArray, plan: FaultPlan): OpenArray => ({
  ...array, ...wrapped(array, plan, ['create', 'remove', 'list', 'volume']),
  replication: wrapped(array.replication ?? {}, plan) as NonNullable<OpenArray['replication']>,
  ...(array.metadata === undefined ? {} : { metadata: wrapped(array.metadata, plan) as NonNullable<OpenArray['metadata']> }),
})
