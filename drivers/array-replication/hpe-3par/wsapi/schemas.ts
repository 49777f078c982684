/** What the array answers, as far as this driver reads it. Members that are not named here pass: arrays add some with every release. */
import * as z from 'zod'

export const listOf = <T extends z.ZodType>(member: T) => z.looseObject({ total: z.number().optional(), members: z.array(member).default([]) })

export const Version = z.looseObject({ major: z.number(), minor: z.number(), revision: z.number().optional(), build: z.number() })
export const WsapiConfiguration = z.looseObject({ version: z.string().optional(), sessionsInUse: z.number().optional(), systemResourceUsage: z.number().optional() })

const License = z.looseObject({ name: z.string().optional(), expiryTimeSec: z.number().optional() })
export const System = z.looseObject({
  id: z.number(), name: z.string(), systemVersion: z.string().optional(), model: z.string().optional(), serialNumber: z.string().optional(),
  totalNodes: z.number().optional(), onlineNodes: z.array(z.number()).optional(), clusterNodes: z.array(z.number()).optional(),
  totalCapacityMiB: z.number().optional(), allocatedCapacityMiB: z.number().optional(), freeCapacityMiB: z.number().optional(), failedCapacityMiB: z.number().optional(),
  licenseInfo: z.looseObject({ licenses: z.array(License).optional(), licenseState: z.unknown().optional() }).optional(),
})
export type System = z.output<typeof System>

const Space = z.looseObject({ usedMiB: z.number().optional(), reservedMiB: z.number().optional(), rawReservedMiB: z.number().optional() })
export const Volume = z.looseObject({
  id: z.number(), name: z.string(), sizeMiB: z.number(), wwn: z.string(), provisioningType: z.number(), copyType: z.number(),
  copyOf: z.string().optional(), baseId: z.number().optional(), readOnly: z.boolean().optional(), state: z.number().optional(),
  failedStates: z.array(z.number()).optional(), degradedStates: z.array(z.number()).optional(), additionalStates: z.array(z.number()).optional(),
  rcopyStatus: z.number().optional(), rcopyGroup: z.string().optional(), userCPG: z.string().optional(), snapCPG: z.string().optional(),
  userSpace: Space.optional(), snapshotSpace: Space.optional(), adminSpace: Space.optional(), totalReservedMiB: z.number().optional(), totalUsedMiB: z.number().optional(),
  compressionState: z.number().optional(), deduplicationState: z.number().optional(), uuid: z.string().optional(), domain: z.string().optional(),
  comment: z.string().optional(), creationTimeSec: z.number().optional(), retentionTimeSec: z.number().optional(),
})
export type Volume = z.output<typeof Volume>

const Usage = z.looseObject({ totalMiB: z.number().optional(), usedMiB: z.number().optional() })
export const Cpg = z.looseObject({
  name: z.string(), id: z.number().optional(), state: z.number().optional(), domain: z.string().optional(),
  UsrUsage: Usage.optional(), SAUsage: Usage.optional(), SDUsage: Usage.optional(),
  SDGrowth: z.looseObject({ limitMiB: z.number().optional(), warningMiB: z.number().optional() }).optional(),
  numFPVVs: z.number().optional(), numTPVVs: z.number().optional(), numTDVVs: z.number().optional(),
})
export type Cpg = z.output<typeof Cpg>
export const SpaceReport = z.looseObject({ rawFreeMiB: z.number().optional(), usableFreeMiB: z.number() })
const CapacityPart = z.looseObject({ totalMiB: z.number(), freeMiB: z.number().optional() })
export const Capacity = z.looseObject({ allCapacity: CapacityPart })

const portPos = z.looseObject({ node: z.number(), slot: z.number(), cardPort: z.number() })
/** Logged-in initiators that are not registered come as records without a name. */
export const Host = z.looseObject({
  id: z.number().optional(), name: z.string().optional(), persona: z.number().optional(),
  FCPaths: z.array(z.looseObject({ wwn: z.string(), portPos: portPos.optional() })).default([]),
  iSCSIPaths: z.array(z.looseObject({ name: z.string(), portPos: portPos.optional(), IPAddr: z.string().optional() })).default([]),
  domain: z.string().optional(),
})
export type Host = z.output<typeof Host>

/** A volume set or a host set; the members are absent when there are none. */
export const MemberSet = z.looseObject({ id: z.number().optional(), name: z.string(), setmembers: z.array(z.string()).default([]), comment: z.string().optional(), qosEnabled: z.boolean().optional() })
export type MemberSet = z.output<typeof MemberSet>

export const Vlun = z.looseObject({
  lun: z.number(), volumeName: z.string(), hostname: z.string().optional(), remoteName: z.string().optional(), portPos: portPos.optional(),
  type: z.number(), volumeWWN: z.string().optional(), active: z.boolean(),
})
export type Vlun = z.output<typeof Vlun>

export const Port = z.looseObject({
  portPos, mode: z.number(), linkState: z.number(), protocol: z.number().optional(), type: z.number().optional(), portWWN: z.string().optional(), nodeWWN: z.string().optional(),
  IPAddr: z.string().optional(), iSCSIName: z.string().optional(),
  iSCSIPortInfo: z.looseObject({ IPAddr: z.string().optional(), iSCSIName: z.string().optional(), tpgt: z.number().optional(), vlan: z.number().optional() }).optional(),
})
export type Port = z.output<typeof Port>
export const IscsiVlans = z.looseObject({ iSCSIVlans: z.array(z.looseObject({ IPAddr: z.string().optional(), vlanTag: z.number().optional() })).default([]) })

export const Task = z.looseObject({ id: z.number(), type: z.number(), name: z.string().optional(), status: z.number(), startTime: z.string().optional(), finishTime: z.string().optional() })
export type Task = z.output<typeof Task>
export const Started = z.looseObject({ taskid: z.number().int().positive() })

export const Qos = z.looseObject({
  id: z.number().optional(), name: z.string().optional(), type: z.number().optional(), enabled: z.boolean().optional(), priority: z.number().optional(),
  ioMaxLimit: z.number().optional(), bwMaxLimitKB: z.number().optional(), ioMinGoal: z.number().optional(), bwMinGoalKB: z.number().optional(), latencyGoal: z.number().optional(),
})
export type Qos = z.output<typeof Qos>

export const KeyValue = z.looseObject({ key: z.string(), value: z.string() })
export const StampedKeyValue = z.looseObject({ creationTimeSec: z.number() })

const RemoteVolume = z.looseObject({
  targetName: z.string(), remoteVolumeName: z.string().optional(), remoteVolumeID: z.number().optional(), syncStatus: z.number(),
  volumeLastSyncTime: z.string().optional(), volumeLastSyncTimeSec: z.number().optional(), resyncSnapshotName: z.string().optional(),
})
const GroupTarget = z.looseObject({
  targetName: z.string(), roleReversed: z.boolean().optional(), state: z.number(), mode: z.number(), syncPeriod: z.number().optional(),
  groupLastSyncTime: z.string().optional(), groupLastSyncTimeSec: z.number().optional(), remoteUserCPG: z.string().optional(), remoteSnapCPG: z.string().optional(),
  policies: z.looseObject({}).optional(),
})
export const RcGroup = z.looseObject({
  id: z.number().optional(), name: z.string(), role: z.number(), remoteGroupName: z.string().optional(), localUserCPG: z.string().optional(), localSnapCPG: z.string().optional(),
  domain: z.string().optional(), targets: z.array(GroupTarget).default([]),
  volumes: z.array(z.looseObject({ localVolumeName: z.string(), localVolumeID: z.number().optional(), remoteVolumes: z.array(RemoteVolume).default([]) })).default([]),
})
export type RcGroup = z.output<typeof RcGroup>
export const RcTarget = z.looseObject({
  name: z.string(), type: z.number().optional(), disabled: z.boolean().optional(),
  portPosAndLink: z.array(z.looseObject({ portPos: portPos.optional(), link: z.unknown() })).optional(),
  policies: z.looseObject({ mirrorConfig: z.boolean().optional() }).optional(),
})
export type RcTarget = z.output<typeof RcTarget>
export const RcLink = z.looseObject({ name: z.string().optional(), targetName: z.string().optional(), status: z.number().optional(), linkState: z.number().optional() })
export const RemoteCopy = z.looseObject({ mode: z.number().optional(), status: z.number().optional(), asyncEnabled: z.boolean().optional() })
