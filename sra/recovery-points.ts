/** Points in time as the documents have them: UTC, milliseconds. */
import type { RecoveryPoint, ReplicationUnit } from '../core/array/replication.ts'

/** Stands for "whatever is newest": what SRM gets when it asks for none, and may ask for by name. */
const latest = 'latest'

export interface ShownPoint {
  readonly id: string
  readonly name?: string
  readonly time: string
}

export const timeOf = (ms: number): string => new Date(ms).toISOString()

export const shownPoint = (point: { readonly id: string; readonly timeMs: number; readonly name?: string }): ShownPoint =>
  ({ id: point.id, ...(point.name === undefined ? {} : { name: point.name }), time: timeOf(point.timeMs) })

/** Copies that guard a change of direction are no points to recover to. */
const offered: readonly RecoveryPoint['purpose'][] = ['user', 'replication']

/** Newest first, with the latest complete copy at the head. */
export const pointsOf = (unit: ReplicationUnit, points: readonly RecoveryPoint[]): readonly ShownPoint[] => [
  ...(unit.lastConsistent.kind === 'time' ? [shownPoint({ id: latest, name: 'Latest', timeMs: unit.lastConsistent.ms })] : []),
  ...points.filter(({ purpose }) => offered.includes(purpose)).sort((a, b) => b.timeMs - a.timeMs).map(shownPoint),
]

/** What the engine is told: nothing for the latest. */
export const wantedPoint = (asked: { readonly recoveryPoint?: { readonly id: string } | undefined }): { readonly recoveryPoint?: string } =>
  asked.recoveryPoint === undefined || asked.recoveryPoint.id === latest ? {} : { recoveryPoint: asked.recoveryPoint.id }
