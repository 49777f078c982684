/** testFailoverStart: a writable copy of each target, presented to the hosts of the request; replication does not notice. */
import type { DeviceIdentity, TestCopy } from '../../core/array/replication.ts'
import { startTest } from '../../core/replication/index.ts'
import { withArray } from '../arrays.ts'
import { identityOf, portsOf } from '../identity.ts'
import { withWarnings, type Item } from '../items.ts'
import { accessOf, type Target } from '../presentation.ts'
import { shownPoint, wantedPoint } from '../recovery-points.ts'
import { eachAccessed } from '../targets.ts'
import { other } from '../warnings.ts'
import type { ArrayRun } from './index.ts'

const groupSnapshot = ({ id, recoveryPoint, members }: TestCopy) =>
  ({ id, recoveryPoint: shownPoint(recoveryPoint), targetDevices: members.map(({ key, copy, identity }) => ({ key, snapshot: { id: copy, ...identityOf(identity) } })) })

const deviceSnapshot = (test: TestCopy) => ({ id: test.members[0]?.copy ?? test.id, ...identityOf(test.members[0]?.identity), recoveryPoint: shownPoint(test.recoveryPoint) })

export const run: ArrayRun<'testFailoverStart'> = async (request, world) => withArray(request, world, async (here) => {
  const identities: (DeviceIdentity | undefined)[] = []
  const start = async (item: Item<Target>) => {
    const access = accessOf(here, request.parameters.accessGroups, item)
    const { copy, warnings } = await startTest(item.site, { id: item.unit.id }, { initiators: access.initiators ?? {}, ...wantedPoint(item.asked) })
    identities.push(...copy.members.map(({ identity }) => identity))
    return { copy, more: withWarnings([...warnings.map((sentence) => other(sentence)), ...access.warnings]) }
  }
  const results = await eachAccessed(here, 'testFailoverStart', request.parameters, start, {
    group: ({ copy, more }) => ({ snapshot: groupSnapshot(copy), ...more }),
    device: ({ copy, more }) => ({ snapshot: deviceSnapshot(copy), ...more }),
  })
  return { testFailoverStartResults: { ...results, ...(await portsOf(here, identities)) } }
})
