/** The ten letters of lv_attr as values (lvs(8), "lv_attr bits"). */

export interface VolumeAttributes {
  readonly kind: 'plain' | 'thin' | 'thin-pool' | 'snapshot' | 'hidden' | 'other'
  readonly writable: boolean
  readonly state: 'inactive' | 'active' | 'suspended' | 'damaged' | 'unknown'
  readonly open: boolean
  /** A physical volume that it needs is missing. */
  readonly partial: boolean
  /** Of thin pools: why nothing (new) can be written. */
  readonly pool?: 'failed' | 'out of data space' | 'metadata is read-only' | 'needs a check'
}

const kinds: Readonly<Record<string, VolumeAttributes['kind']>> = {
  '-': 'plain', r: 'plain', R: 'plain', m: 'plain', M: 'plain', C: 'plain', g: 'plain', o: 'plain', O: 'plain',
  V: 'thin', t: 'thin-pool', s: 'snapshot', S: 'snapshot',
  T: 'hidden', e: 'hidden', i: 'hidden', I: 'hidden', l: 'hidden', p: 'hidden', D: 'hidden',
}

const states: Readonly<Record<string, VolumeAttributes['state']>> = {
  '-': 'inactive', a: 'active', s: 'suspended', C: 'suspended', c: 'active',
  I: 'damaged', S: 'damaged', m: 'damaged', M: 'damaged', d: 'damaged', i: 'damaged', X: 'unknown',
}

const poolStates: Readonly<Record<string, NonNullable<VolumeAttributes['pool']>>> = { F: 'failed', D: 'out of data space', M: 'metadata is read-only' }

/** undefined when it is not what lvs prints. */
export const parseAttributes = (text: string): VolumeAttributes | undefined => {
  if (!/^[-A-Za-z]{10}$/.test(text)) return undefined
  const [kind = '', permission = '', , , state = '', open = '', , , health = ''] = text
  const pool = poolStates[health] ?? (state === 'c' || state === 'C' ? 'needs a check' : undefined)
  return {
    kind: kinds[kind] ?? 'other',
    writable: permission === 'w',
    state: states[state] ?? 'unknown',
    open: open === 'o',
    partial: health === 'p',
    ...(pool === undefined ? {} : { pool }),
  }
}
