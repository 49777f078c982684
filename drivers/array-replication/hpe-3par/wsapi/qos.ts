/** `/qos`: limits on a volume set. Bandwidth in KiB/s, I/O in requests a second. Needs the licence for it. */
import { qosTarget } from './enums.ts'
import { unless } from './errors.ts'
import type { Wsapi } from './client.ts'
import { segment } from './query.ts'
import { listOf, Qos } from './schemas.ts'

export interface QosLimits {
  readonly ioMaxLimit?: number
  readonly bwMaxLimitKB?: number
  /** 1 low, 2 normal, 3 high. */
  readonly priority?: number
}

export const listQos = async (api: Wsapi, signal: AbortSignal): Promise<readonly Qos[]> => (await api.get('/qos', listOf(Qos), 'list the QoS rules', signal)).members

export const findQos = async (api: Wsapi, set: string, signal: AbortSignal): Promise<Qos | undefined> =>
  unless('notFound', api.get(`/qos/vvset:${segment(set)}`, Qos, `read the QoS rule of set ${set}`, signal))

export const createQos = async (api: Wsapi, set: string, limits: QosLimits, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: '/qos', body: { name: set, type: qosTarget.set, enable: true, ...limits }, what: `set a QoS rule on set ${set}` }, signal)
}

export const changeQos = async (api: Wsapi, set: string, limits: QosLimits, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/qos/vvset:${segment(set)}`, body: limits, what: `change the QoS rule of set ${set}`, repeatable: true }, signal)
}

export const removeQos = async (api: Wsapi, set: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `/qos/vvset:${segment(set)}`, what: `remove the QoS rule of set ${set}` }, signal)
}
