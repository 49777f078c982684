/**
 * Storage events to many peers. An event is written down once, however many listen; a peer that does not keep up loses
 * events and is told how many, so nothing ever piles up for it.
 */
import type { Engine, StorageEvent } from '../core/caller.ts'
import type { FrontParams } from './front-methods.ts'

type EventFilter = FrontParams<'events.subscribe'>

export interface Subscriber {
  filter: EventFilter
  /** Events dropped since the last `events.lost`. */
  lost: number
  readonly send: (text: string) => void
  /** So much waits for this peer that events are dropped. */
  readonly congested: () => boolean
}

export interface EventHub {
  /** False when it was there already. */
  add(subscriber: Subscriber): boolean
  remove(subscriber: Subscriber): boolean
  /** The peer reads again: tells it what it has missed. */
  caughtUp(subscriber: Subscriber): void
  close(): void
}

const wants = (filter: EventFilter, event: StorageEvent): boolean => {
  if (filter.events !== undefined && !filter.events.includes(event.event)) return false
  return filter.sr_uuid === undefined || (event.event === 'changed' && event.sr_uuid === filter.sr_uuid)
}

export const notification = (method: string, params: unknown): string => JSON.stringify({ jsonrpc: '2.0', method, params })

export const createEventHub = (engine: Pick<Engine, 'subscribe'>): EventHub => {
  const subscribers = new Set<Subscriber>()

  const caughtUp = (subscriber: Subscriber): void => {
    if (subscriber.lost === 0 || subscriber.congested()) return
    const lost = subscriber.lost
    subscriber.lost = 0
    subscriber.send(notification('events.lost', { lost }))
  }

  const stop = engine.subscribe((event) => {
    let text: string | undefined
    for (const subscriber of subscribers) {
      if (!wants(subscriber.filter, event)) continue
      if (subscriber.congested()) {
        subscriber.lost += 1
        continue
      }
      caughtUp(subscriber)
      subscriber.send(text ??= notification('event', event))
    }
  })

  return {
    add(subscriber) {
      const before = subscribers.size
      subscribers.add(subscriber)
      return subscribers.size > before
    },
    remove: (subscriber) => subscribers.delete(subscriber),
    caughtUp,
    close() {
      stop()
      subscribers.clear()
    },
  }
}
