/**
 * What authors of drivers test with (`storage-manager/testing`): the sentences of the conformance suite, the crash explorer, and a
 * machine in memory - files, mounts, LVM, iSCSI - that can be stopped at every step. No test framework is needed: `runCases` is a
 * loop. `storage-manager/testing/vitest` makes tests of the same cases. docs/writing-a-driver.md shows both.
 */
export type { Case, Disk, Harness, Lack, Session, StartOptions, Topic, Trouble, World, WorldOption } from './test/kit/case.ts'
export { topics } from './test/kit/cases/index.ts'
export { explore, type Exploration, type ExploreOptions } from './test/kit/crash/explore.ts'
export { scenarios, type Scenario } from './test/kit/crash/scenarios.ts'
export { complains, says, unknownUse } from './test/kit/fakes/answer.ts'
export { createArray, type ModelArray, type ModelPortal, type TargetPlan } from './test/kit/fakes/iscsi/array.ts'
export { createIscsiModel, iscsiOf, setUpIscsi, type IscsiModel } from './test/kit/fakes/iscsi/model.ts'
export { lvmState, lvmTools } from './test/kit/fakes/lvm.ts'
export { createMountModel, type Backend, type Mountable, type Mounted, type MountModel, type MountRequest } from './test/kit/fakes/mount.ts'
export { addFile, placeDirectory, type Machine, type MachineOptions, type ModelHost, type ToolModel } from './test/kit/model/machine.ts'
export { createVolume, usedBytes, type Volume } from './test/kit/model/volume.ts'
export { modelHarness, openRawDisk, type ModelWorldOptions, type OpenDisk } from './test/kit/model/world.ts'
export { missingFor, runCases, summarize, type CaseResult, type RunOptions } from './test/kit/run.ts'
export { rejects, type Stage, type TestSr } from './test/kit/stage.ts'
