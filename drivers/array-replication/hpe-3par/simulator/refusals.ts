/**
 * What an array answers when it refuses: HTTP status, number and text, as data. Clients decide by status and number; the
 * texts marked (text) are compared word for word by public clients. Numbers from 9000 on are the simulator's own: the real
 * ones are not public, so no client may depend on them.
 */

interface Refusal {
  readonly status: number
  readonly code: number
  readonly desc: string
}

const table = {
  internal: [500, 1, 'internal server error'],
  badLogin: [403, 5, 'invalid username or password'],
  badSession: [403, 6, 'invalid session key'],
  notLicensed: [403, 9001, 'the operation needs a licence that is not installed'],
  permissionDenied: [403, 13, 'permission denied'],
  noSuchUri: [404, 11, 'the resource was not found'],
  unknownMember: [400, 12, 'invalid input: not a member of this request'],
  wrongType: [400, 39, 'invalid input: wrong type'],
  memberMissing: [400, 40, 'invalid input: a required member is missing'],
  exceedsRange: [400, 43, 'invalid input: integer exceeds its range'],
  exclusive: [400, 44, 'invalid input: parameters cannot be present at the same time'],
  emptyText: [400, 45, 'invalid input: string must not be empty'],
  badChoice: [400, 46, 'invalid input: not one of the permitted values'],
  tooLong: [400, 57, 'invalid input: string length exceeds limit'],
  syntax: [400, 60, 'JSON parser error'],
  inputTooLong: [413, 4, 'the input is too long'],
  badCharacter: [400, 69, 'illegal character in input'],
  oneRequired: [400, 78, 'invalid input: one of several parameters is required'],
  belowRange: [400, 115, 'invalid input: integer is below its range'],
  unsupported: [501, 9, 'the operation is not supported'],
  noSpace: [400, 24, 'not enough space is available'],
  tooLarge: [400, 28, 'the size or number is too large'],
  other: [400, 29, 'the operation is not possible in this state'],
  cpgExists: [409, 14, 'CPG already exists'],
  cpgMissing: [404, 15, 'CPG does not exist'],
  cpgInUse: [403, 34, 'CPG is in use'],
  cpgLimit: [403, 153, 'CPG growth limit is reached'],
  raidPolicy: [403, 92, 'the RAID type does not allow this set size'],
  hostExists: [409, 16, 'host already exists'],
  hostMissing: [404, 17, 'host does not exist'],
  lunExists: [409, 18, 'VLUN already exists'],
  vlunMissing: [404, 19, 'VLUN does not exist'],
  portMissing: [404, 20, 'port does not exist'],
  portType: [400, 21, 'the port is not one that hosts use'],
  portSpec: [400, 55, 'invalid port specification'],
  noLunFree: [409, 9002, 'no LUN is free in the range'],
  volumeExists: [409, 22, 'volume already exists'],
  volumeMissing: [404, 23, 'volume does not exist'],
  idExists: [409, 59, 'the id is in use'],
  readOnlyChild: [409, 25, 'volume has a read-only child'],
  exportedVlun: [409, 26, 'has exported VLUN'],
  hasChild: [409, 32, 'volume has a child'],
  inUse: [409, 34, 'object is in use'],
  busy: [409, 151, 'a task is running on the volume'],
  retained: [403, 9003, 'volume is retained'],
  inGroup: [403, 120, 'volume is in a remote copy group'],
  volumeType: [403, 150, 'unsupported volume type'],
  growSize: [400, 152, 'invalid size to grow by'],
  noSnapCpg: [409, 9004, 'volume has no snapshot CPG'],
  readOnlyParent: [403, 9005, 'a read-only snapshot cannot have a read-only snapshot'],
  parentExported: [403, 9006, 'the parent is exported'],
  noPromote: [409, 185, 'no promotion is running'],
  copyDestination: [409, 97, 'volume is the destination of a physical copy'],
  copySize: [400, 9007, 'the destination is smaller than the source'],
  noSavedSnapshot: [403, 9008, 'the copy has no saved snapshot'],
  pathClaimed: [409, 73, 'path belongs to another host'],
  pathTwice: [400, 98, 'path given twice'],
  pathMissing: [404, 80, 'path does not exist'],
  hostInSet: [409, 77, 'host is a member of a set'],
  chapOrder: [400, 9009, 'target CHAP needs initiator CHAP'],
  setExists: [409, 101, 'set exists'],
  setMissing: [404, 102, 'set does not exist'],
  setEmpty: [404, 9010, 'set is empty'],
  alreadyInSet: [409, 9011, 'already a member of the set'],
  notInSet: [404, 9012, 'not a member of the set'],
  setIsQosTarget: [409, 9013, 'the set is the target of a QoS rule'],
  qosMissing: [404, 100, 'QoS rule does not exist'],
  qosExists: [400, 114, 'QoS rule exists'],
  qosTargetMissing: [404, 117, 'QoS target does not exist'],
  taskMissing: [404, 145, 'task does not exist'],
  taskNotActive: [400, 9014, 'task is not active'],
  keyMissing: [404, 180, 'key does not exist'],
  keyExists: [409, 181, 'key exists'],
  flashCacheMissing: [404, 285, 'flash cache does not exist'],
  groupMissing: [404, 187, 'remote copy group does not exist'],
  groupExists: [409, 237, 'remote copy group exists'],
  groupStarted: [403, 215, 'remote copy group is started'],
  groupNotStopped: [403, 284, 'remote copy group is not in stopped state'],
  groupEmpty: [400, 9020, 'remote copy group has no volumes'],
  mixedModes: [400, 236, 'mixed modes on one target'],
  targetMissing: [404, 9021, 'remote copy target does not exist'],
  targetNotReady: [403, 9022, 'target is not ready'],
  volumeNotInGroup: [404, 9023, 'volume is not in the remote copy group'],
  volumeInGroup: [409, 9024, 'volume is in the remote copy group already'],
  volumeInOtherGroup: [403, 9025, 'volume is in another remote copy group'],
  remoteVolumeExists: [409, 9026, 'volume exists on the target'],
  remoteVolumeMissing: [404, 9027, 'volume does not exist on the target'],
  sizeMismatch: [403, 9028, 'sizes of the volumes differ'],
  remoteExported: [403, 9029, 'volume of the target is exported'],
  groupWithoutCpg: [403, 9030, 'the group has no CPG for volumes that are to be made'],
  onlyPrimary: [403, 9031, 'the operation is possible only on the primary side'],
  onlySecondary: [403, 9032, 'the operation is possible only on the secondary side'],
  roleConflict: [403, 9033, 'the roles of both sides conflict'],
  groupNotStarted: [403, 9034, 'remote copy group is not started'],
  syncRunning: [403, 9035, 'a synchronisation is running'],
  notFailSafe: [403, 9036, 'remote copy group is not in fail-safe state'],
  cannotSwitch: [403, 9037, 'a switchover needs path management and synchronised volumes'],
} as const satisfies Readonly<Record<string, readonly [number, number, string]>>

export type RefusalName = keyof typeof table

export const isRefusalName = (text: string): text is RefusalName => Object.hasOwn(table, text)

/** An answer that is thrown: the request changes nothing. `ref` names the member or object it is about. */
export interface Refused extends Error {
  readonly wsapi: Refusal & { readonly ref?: string }
}

export const refuse = (name: RefusalName, ref?: string): Refused => {
  const [status, code, desc] = table[name]
  return Object.assign(new Error(desc), { wsapi: { status, code, desc, ...(ref === undefined ? {} : { ref }) } })
}

export const isRefused = (thrown: unknown): thrown is Refused => thrown instanceof Error && 'wsapi' in thrown
