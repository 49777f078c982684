/** What iscsiadm's exit statuses mean (open-iscsi, iscsi_err.h), as errors of ours with something to do about each. */
import { StorageError, type ErrorKind } from '../../core/errors.ts'

interface Meaning {
  readonly kind: ErrorKind
  readonly says: string
  readonly remedy: string
}

const noAnswer: Omit<Meaning, 'says'> = { kind: 'unreachable', remedy: 'See that the address and port are right, that the array is up, and that no firewall drops the way there (nc -zv <address> 3260)' }
const noDaemon: Meaning = { kind: 'toolFailed', says: 'iscsid does not answer', remedy: 'Start it: systemctl enable --now iscsid' }

const meanings: Readonly<Record<number, Meaning>> = {
  4: { ...noAnswer, says: 'the connection failed' },
  5: { kind: 'arrayFault', says: 'the target refused the login', remedy: 'See the log of iscsid, and what the target allows this initiator' },
  6: { kind: 'toolFailed', says: 'the database of records cannot be used', remedy: 'See that /run/lock/iscsi and /etc/iscsi can be written' },
  8: { ...noAnswer, says: 'the login was not answered in time: the portal is dead, or there is no target of that name behind it' },
  11: { ...noAnswer, says: 'nothing answers there' },
  12: { kind: 'toolFailed', says: 'the kernel has no iSCSI transport', remedy: 'Load it: modprobe iscsi_tcp' },
  18: noDaemon,
  19: { kind: 'permissionDenied', says: 'the login was refused for good: the target did not prove itself with chapuser_in, or asks for no CHAP while chapuser is given', remedy: 'Compare chapuser, chapuser_in and their passwords with what is set on the target' },
  20: noDaemon,
  24: { kind: 'permissionDenied', says: 'the target refused this initiator', remedy: 'Compare chapuser and chappassword with the target, and see that it allows the name of this initiator (localIQN, or InitiatorName in /etc/iscsi/initiatorname.iscsi)' },
  27: { kind: 'toolFailed', says: 'the initiator does not support that', remedy: 'See the log of iscsid' },
}

/** iscsiadm has one status for a name that means nothing and for a portal that offers nothing. */
export const unresolved = (what: string): StorageError =>
  new StorageError('unreachable', `${what}: the name cannot be resolved`, { layer: 'host:iscsi', remedy: 'Give the address of the portal, or see to the name service of this host (getent hosts <name>)' })

/** Puts a failed run of iscsiadm in words; whatever else was thrown stays what it is. `what` was tried, as `login to iqn... at 192.0.2.10:3260`. */
export const explainIscsi = (what: string) => (error: unknown): never => {
  if (!(error instanceof StorageError)) throw error
  const said = String(error.facts.details?.['stderr'] ?? '')
  const status = error.facts.details?.['exit_code']
  if (error.kind === 'outcomeUnknown') {
    throw new StorageError('unreachable', `${what}: no answer within the time allowed`, { ...error.facts, layer: 'host:iscsi', cause: error, remedy: noAnswer.remedy })
  }
  if (error.kind !== 'toolFailed' || typeof status !== 'number') throw error
  const meaning = meanings[status]
  if (meaning === undefined) throw new StorageError('toolFailed', `${what}: iscsiadm failed with status ${status}: ${said.trim().slice(-300)}`, { ...error.facts, layer: 'host:iscsi', cause: error })
  throw new StorageError(meaning.kind, `${what}: ${meaning.says}`, { ...error.facts, layer: 'host:iscsi', cause: error, remedy: meaning.remedy })
}
