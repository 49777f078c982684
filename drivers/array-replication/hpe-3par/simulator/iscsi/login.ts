/** The login phase of a connection: names, CHAP, and what both sides agree on (RFC 7143 sections 6, 12 and 13). */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Host } from '../model.ts'
import { keysOf, type Pdu } from './pdu.ts'

/** Longest data segment that we take. */
export const longestReceived = 262_144

interface Agreed {
  /** What the initiator takes in one PDU, one burst, and unasked. Bytes. */
  longestSent: number
  longestBurst: number
}

export interface LoginState {
  initiator: string | undefined
  target: string | undefined
  discovery: boolean
  authenticated: boolean
  challenge: { readonly id: number; readonly bytes: Buffer } | undefined
  introduced: boolean
  readonly agreed: Agreed
}

export const newLogin = (): LoginState => ({
  initiator: undefined, target: undefined, discovery: false, authenticated: false, challenge: undefined, introduced: false, agreed: { longestSent: 8192, longestBurst: 262_144 },
})

export interface LoginWorld {
  readonly targetName: string
  readonly hostOf: (initiator: string) => Host | undefined
}

/** Class and detail of RFC 7143 section 11.13.5. */
type Refusal = readonly [number, number]
const loginRefusals = {
  authentication: [2, 1], notFound: [2, 3], missing: [2, 7], initiatorError: [2, 0],
} as const satisfies Readonly<Record<string, Refusal>>

export interface LoginStep {
  readonly refusal?: Refusal
  readonly keys: readonly (readonly [string, string])[]
  readonly flags: number
  readonly done: boolean
}

const lesser = (mine: number) => (theirs: string): string => String(Math.min(mine, Number(theirs)))

/** Key -> our answer to the initiator's proposal. */
const answers: Readonly<Record<string, (theirs: string) => string>> = {
  HeaderDigest: () => 'None', DataDigest: () => 'None', ErrorRecoveryLevel: () => '0', InitialR2T: () => 'Yes', ImmediateData: (theirs) => theirs, MaxConnections: () => '1',
  MaxBurstLength: lesser(262_144), FirstBurstLength: lesser(65_536), DefaultTime2Wait: (theirs) => theirs, DefaultTime2Retain: () => '0', MaxOutstandingR2T: () => '1',
  DataPDUInOrder: () => 'Yes', DataSequenceInOrder: () => 'Yes', IFMarker: () => 'No', OFMarker: () => 'No', TaskReporting: () => 'RFC3720', iSCSIProtocolLevel: () => '1',
}
/** Keys that are told, not negotiated. */
const declared = new Set(['InitiatorName', 'InitiatorAlias', 'TargetName', 'SessionType', 'AuthMethod', 'MaxRecvDataSegmentLength', 'CHAP_A', 'CHAP_N', 'CHAP_R', 'CHAP_I', 'CHAP_C'])

const digest = (id: number, secret: string, challenge: Buffer): Buffer =>
  createHash('md5').update(Buffer.from([id])).update(Buffer.from(secret, 'latin1')).update(challenge).digest()

const bytesOf = (text: string): Buffer => (/^0x/i.test(text) ? Buffer.from(text.slice(2).padStart(Math.ceil((text.length - 2) / 2) * 2, '0'), 'hex') : Buffer.from(text.replace(/^0b/i, ''), 'base64'))

/** One step of CHAP with MD5 (RFC 7143 section 12.1.3): the challenge, then the proof; the other way too when it is asked. */
const chapStep = (state: LoginState, given: ReadonlyMap<string, string>, host: Host): LoginStep['keys'] | undefined => {
  const secret = host.initiatorChap
  const response = given.get('CHAP_R')
  if (secret === undefined) return undefined
  if (state.challenge === undefined || response === undefined) {
    state.challenge = { id: randomBytes(1).readUInt8(0), bytes: randomBytes(16) }
    return [['CHAP_A', '5'], ['CHAP_I', String(state.challenge.id)], ['CHAP_C', `0x${state.challenge.bytes.toString('hex')}`]]
  }
  const expected = digest(state.challenge.id, secret.secret, state.challenge.bytes)
  const proof = bytesOf(response)
  if (given.get('CHAP_N') !== secret.name || proof.length !== expected.length || !timingSafeEqual(proof, expected)) return undefined
  state.authenticated = true
  const id = given.get('CHAP_I')
  const challenge = given.get('CHAP_C')
  if (id === undefined || challenge === undefined) return []
  if (host.targetChap === undefined) return undefined
  return [['CHAP_N', host.targetChap.name], ['CHAP_R', `0x${digest(Number(id), host.targetChap.secret, bytesOf(challenge)).toString('hex')}`]]
}

const refused = (refusal: Refusal): LoginStep => ({ refusal, keys: [], flags: 0, done: false })

/** The answer to one login request; `state` keeps what was said before. */
export const loginStep = (state: LoginState, pdu: Pdu, world: LoginWorld): LoginStep => {
  const flags = pdu.header.readUInt8(1)
  const current = (flags >> 2) & 3
  const next = flags & 3
  const transit = (flags & 0x80) !== 0
  const given = keysOf(pdu.data)
  state.initiator ??= given.get('InitiatorName')
  state.target ??= given.get('TargetName')
  state.discovery ||= given.get('SessionType') === 'Discovery'
  if (state.initiator === undefined) return refused(loginRefusals.missing)
  if (!state.discovery && state.target === undefined) return refused(loginRefusals.missing)
  if (!state.discovery && state.target?.toLowerCase() !== world.targetName) return refused(loginRefusals.notFound)

  const keys: (readonly [string, string])[] = []
  if (!state.discovery && !state.introduced) keys.push(['TargetPortalGroupTag', '21'])
  state.introduced = true
  const host = world.hostOf(state.initiator)
  const wanted = state.discovery || host?.initiatorChap === undefined ? undefined : host
  if (wanted === undefined) state.authenticated = true
  const methods = given.get('AuthMethod')?.split(',')
  if (methods !== undefined) {
    if (!methods.includes(wanted === undefined ? 'None' : 'CHAP')) return refused(loginRefusals.authentication)
    keys.push(['AuthMethod', wanted === undefined ? 'None' : 'CHAP'])
  }
  if (wanted !== undefined && (given.has('CHAP_A') || given.has('CHAP_R'))) {
    const step = chapStep(state, given, wanted)
    if (step === undefined) return refused(loginRefusals.authentication)
    keys.push(...step)
  }
  // Nobody gets past the security phase without the proof, whatever phase it says it is in.
  if (!state.authenticated && current !== 0) return refused(loginRefusals.authentication)

  for (const [key, theirs] of given) {
    if (key === 'MaxRecvDataSegmentLength') state.agreed.longestSent = Math.max(512, Number(theirs))
    if (declared.has(key)) continue
    const mine = answers[key]?.(theirs)
    keys.push([key, mine ?? 'NotUnderstood'])
    if (key === 'MaxBurstLength' && mine !== undefined) state.agreed.longestBurst = Number(mine)
  }
  if (given.has('MaxRecvDataSegmentLength')) keys.push(['MaxRecvDataSegmentLength', String(longestReceived)])
  const moves = transit && state.authenticated
  return { keys, flags: (moves ? 0x80 : 0) | (current << 2) | (moves ? next : 0), done: moves && next === 3 }
}
