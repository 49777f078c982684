/** What goes over the wire for each endpoint, as the facts of the protocol state it; and what the array's numbers become. */
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../../../core/errors.ts'
import type { Wsapi } from '../../../../../drivers/array-replication/hpe-3par/wsapi/client.ts'
import { refusalError, vendorCode } from '../../../../../drivers/array-replication/hpe-3par/wsapi/errors.ts'
import { addPaths, changeSet, createHost, createSet, findSet, listHosts, removeHost, removePaths, removeSet } from '../../../../../drivers/array-replication/hpe-3par/wsapi/hosts.ts'
import { listKeyValues, putKeyValue, removeKeyValue } from '../../../../../drivers/array-replication/hpe-3par/wsapi/metadata.ts'
import { changeQos, createQos, findQos, removeQos } from '../../../../../drivers/array-replication/hpe-3par/wsapi/qos.ts'
import { byInitiators, equals, segment } from '../../../../../drivers/array-replication/hpe-3par/wsapi/query.ts'
import { admitVolume, createRcGroup, dismissVolume, findRcGroup, listRcGroups, removeRcGroup, runRcAction, setSyncPeriod } from '../../../../../drivers/array-replication/hpe-3par/wsapi/remote-copy.ts'
import { cancelTask, cpgSpace, findCpg, findTask } from '../../../../../drivers/array-replication/hpe-3par/wsapi/system.ts'
import { createVlun, listVluns, removeVlun, templateOf } from '../../../../../drivers/array-replication/hpe-3par/wsapi/vluns.ts'
import { createOnlineCopy, createSetSnapshot, createSnapshot, createVolume, growVolume, modifyVolume, promoteSnapshot, removeVolume } from '../../../../../drivers/array-replication/hpe-3par/wsapi/volumes.ts'
import { onScript, signal, type Line } from './scripted-array.ts'

const at = (line: Line): Line => ({ ...line, ask: line.ask.replace(' /', ' /api/v1/') })

const cases: Readonly<Record<string, readonly [lines: readonly Line[], work: (api: Wsapi) => Promise<unknown>, result?: unknown]>> = {
  'creates a thin volume': [
    [{ ask: 'POST /volumes', body: { name: 'v1', cpg: 'c1', sizeMiB: 1024, tpvv: true, snapCPG: 'c2', comment: '{}' }, status: 201, location: '/api/v1/volumes/v1' }],
    (api) => createVolume(api, { name: 'v1', cpg: 'c1', sizeMiB: 1024, tpvv: true, snapCPG: 'c2', comment: '{}' }, signal())],
  'grows by an increment': [[{ ask: 'PUT /volumes/v1', body: { action: 3, sizeMiB: 256 } }], (api) => growVolume(api, 'v1', 256, signal())],
  'renames': [[{ ask: 'PUT /volumes/v1', body: { newName: 'v2' }, location: '/api/v1/volumes/v2' }], (api) => modifyVolume(api, 'v1', { newName: 'v2' }, signal())],
  'removes': [[{ ask: 'DELETE /volumes/v1' }], (api) => removeVolume(api, 'v1', signal())],
  'takes a read-only snapshot': [
    [{ ask: 'POST /volumes/v1', body: { action: 'createSnapshot', parameters: { name: 's1', readOnly: true } }, status: 201 }],
    (api) => createSnapshot(api, 'v1', { name: 's1', readOnly: true }, signal())],
  'takes a snapshot of a whole set': [
    [{ ask: 'POST /volumesets/set1', body: { action: 'createSnapshot', parameters: { name: 's-@count@', readOnly: true } }, status: 201 }],
    (api) => createSetSnapshot(api, 'set1', { name: 's-@count@', readOnly: true }, signal())],
  'promotes a snapshot as a task': [[{ ask: 'PUT /volumes/s1', body: { action: 4, allowRemoteCopyParent: true }, answer: { taskid: 17 } }], (api) => promoteSnapshot(api, 's1', { allowRemoteCopyParent: true }, signal()), 17],
  'clones online': [
    [{ ask: 'POST /volumes/v1', body: { action: 'createPhysicalCopy', parameters: { online: true, destVolume: 'd', destCPG: 'c1', tpvv: true } }, status: 201, answer: { taskid: 18 } }],
    (api) => createOnlineCopy(api, 'v1', { destVolume: 'd', destCPG: 'c1', tpvv: true }, signal()), 18],
  'finds hosts by any of their initiators, and skips the nameless': [
    [{ ask: 'GET /hosts?query=%22FCPaths%5Bwwn%3D%3D10000000C9ABCDEF%5D%20OR%20iSCSIPaths%5Bname%3D%3Diqn.1993-08.org.debian%3A01%3Aa%5D%22', answer: { total: 2, members: [{ FCPaths: [], iSCSIPaths: [] }, { name: 'h1', FCPaths: [], iSCSIPaths: [{ name: 'iqn.1993-08.org.debian:01:a' }] }] } }],
    async (api) => (await listHosts(api, byInitiators(['10000000C9ABCDEF'], ['iqn.1993-08.org.debian:01:a']), signal())).map(({ name }) => name), ['h1']],
  'creates a host with Generic-ALUA': [[{ ask: 'POST /hosts', body: { name: 'h1', persona: 2, iSCSINames: ['iqn.x'] }, status: 201 }], (api) => createHost(api, 'h1', { iSCSINames: ['iqn.x'] }, signal())],
  'adds initiators': [[{ ask: 'PUT /hosts/h1', body: { pathOperation: 1, iSCSINames: ['iqn.y'] } }], (api) => addPaths(api, 'h1', { iSCSINames: ['iqn.y'] }, signal())],
  'removes initiators, never by force': [[{ ask: 'PUT /hosts/h1', body: { pathOperation: 2, FCWWNs: ['10000000C9ABCDEF'], forcePathRemoval: false } }], (api) => removePaths(api, 'h1', { FCWWNs: ['10000000C9ABCDEF'] }, signal())],
  'removes a host': [[{ ask: 'DELETE /hosts/h1' }], (api) => removeHost(api, 'h1', signal())],
  'reads a set without members as empty': [[{ ask: 'GET /volumesets/s', answer: { id: 1, name: 's' } }], async (api) => (await findSet(api, 'volumesets', 's', signal()))?.setmembers, []],
  'makes, fills and removes a host set': [
    [{ ask: 'POST /hostsets', body: { name: 'hs', setmembers: ['h1'] }, status: 201 }, { ask: 'PUT /hostsets/hs', body: { action: 1, setmembers: ['h2'] } }, { ask: 'DELETE /hostsets/hs' }],
    async (api) => {
      await createSet(api, 'hostsets', { name: 'hs', setmembers: ['h1'] }, signal())
      await changeSet(api, 'hostsets', 'hs', 'add', ['h2'], signal())
      await removeSet(api, 'hostsets', 'hs', signal())
    }],
  'learns the number of an export from its location': [
    [{ ask: 'POST /vluns', body: { volumeName: 'v1', hostname: 'h1', lun: 1, autoLun: true, maxAutoLun: 0 }, status: 201, location: '/api/v1/vluns/v1,4,h1' }],
    (api) => createVlun(api, 'v1', 'h1', 1, signal()), { volume: 'v1', lun: 4, host: 'h1' }],
  'exports to a host set': [
    [{ ask: 'POST /vluns', status: 201, location: '/api/v1/vluns/v1,0,set:hs' }], (api) => createVlun(api, 'v1', 'set:hs', 0, signal()), { volume: 'v1', lun: 0, host: 'set:hs' }],
  'removes the templates of every form': [
    [{ ask: 'DELETE /vluns/v1,4,h1' }, { ask: 'DELETE /vluns/v1,4,h1,0:2:1' }, { ask: 'DELETE /vluns/v1,4,,0:2:1' }, { ask: 'DELETE /vluns/v1,0,set:hs' }],
    async (api) => {
      await removeVlun(api, { volume: 'v1', lun: 4, host: 'h1' }, signal())
      await removeVlun(api, { volume: 'v1', lun: 4, host: 'h1', port: '0:2:1' }, signal())
      await removeVlun(api, { volume: 'v1', lun: 4, port: '0:2:1' }, signal())
      await removeVlun(api, { volume: 'v1', lun: 0, host: 'set:hs' }, signal())
    }],
  'asks for the exports of one volume': [
    [{ ask: 'GET /vluns?query=%22volumeName%20EQ%20v1%22', answer: { total: 1, members: [{ lun: 4, volumeName: 'v1', hostname: 'h1', type: 4, active: false, portPos: { node: 0, slot: 2, cardPort: 1 } }] } }],
    async (api) => (await listVluns(api, equals('volumeName', 'v1'), signal())).map(templateOf), [{ volume: 'v1', lun: 4, host: 'h1', port: '0:2:1' }]],
  'makes, changes, reads and removes a QoS rule': [
    [
      { ask: 'POST /qos', body: { name: 's', type: 1, enable: true, ioMaxLimit: 500 }, status: 201 }, { ask: 'PUT /qos/vvset:s', body: { ioMaxLimit: 900 } },
      { ask: 'GET /qos/vvset:s', answer: { id: 1, name: 's', ioMaxLimit: 900, enabled: true } }, { ask: 'DELETE /qos/vvset:s' },
    ],
    async (api) => {
      await createQos(api, 's', { ioMaxLimit: 500 }, signal())
      await changeQos(api, 's', { ioMaxLimit: 900 }, signal())
      const rule = await findQos(api, 's', signal())
      await removeQos(api, 's', signal())
      return rule?.ioMaxLimit
    }, 900],
  'tells the space of a CPG that has a limit': [
    [{ ask: 'GET /cpgs/c', answer: { id: 1, name: 'c', SDGrowth: { limitMiB: 1000 }, SDUsage: { usedMiB: 100 }, UsrUsage: { usedMiB: 200 } } }],
    async (api) => {
      const cpg = await findCpg(api, 'c', signal())
      return cpg === undefined ? undefined : cpgSpace(api, cpg, signal())
    }, { totalMiB: 1000, freeMiB: 700 }],
  'asks for the free space of a CPG that has none': [
    [{ ask: 'GET /cpgs/c', answer: { id: 1, name: 'c', SDGrowth: {}, SDUsage: { usedMiB: 100 }, UsrUsage: { usedMiB: 200 } } }, { ask: 'POST /spacereporter', body: { cpg: 'c' }, answer: { rawFreeMiB: 9, usableFreeMiB: 5000 } }],
    async (api) => {
      const cpg = await findCpg(api, 'c', signal())
      return cpg === undefined ? undefined : cpgSpace(api, cpg, signal())
    }, { totalMiB: 5300, freeMiB: 5000 }],
  'reads and cancels a task': [
    [{ ask: 'GET /tasks/5', answer: { id: 5, type: 18, name: 'd', status: 2, startTime: 'x', finishTime: '-' } }, { ask: 'PUT /tasks/5', body: { action: 1 } }, { ask: 'GET /tasks/6', status: 404, answer: { code: 145, desc: 'task does not exist' } }],
    async (api) => {
      const task = await findTask(api, 5, signal())
      await cancelTask(api, 5, signal())
      return [task?.status, await findTask(api, 6, signal())]
    }, [2, undefined]],
  'keeps key-values, new ones and old ones': [
    [
      { ask: 'PUT /volumes/v/objectKeyValues/k', body: { value: 'x' }, status: 404, answer: { code: 180, desc: 'key does not exist' } }, { ask: 'POST /volumes/v/objectKeyValues', body: { key: 'k', value: 'x' }, status: 201 },
      { ask: 'GET /volumes/v/objectKeyValues', answer: { total: 1, members: [{ key: 'k', value: 'x' }] } }, { ask: 'DELETE /volumes/v/objectKeyValues/k', status: 404, answer: { code: 180, desc: 'gone' } },
    ],
    async (api) => {
      await putKeyValue(api, 'v', 'k', 'x', signal())
      const all = await listKeyValues(api, 'v', signal())
      await removeKeyValue(api, 'v', 'k', signal())
      return all
    }, { k: 'x' }],
  'creates a group with its CPGs on both sides, and its period by itself': [
    [
      { ask: 'POST /remotecopygroups', body: { name: 'g', localUserCPG: 'a', localSnapCPG: 'b', targets: [{ targetName: 't', mode: 3, userCPG: 'c', snapCPG: 'd' }] }, status: 201 },
      { ask: 'PUT /remotecopygroups/g', body: { targets: [{ targetName: 't', syncPeriod: 900 }] } },
    ],
    async (api) => {
      await createRcGroup(api, { name: 'g', target: 't', mode: 3, localUserCPG: 'a', localSnapCPG: 'b', remoteUserCPG: 'c', remoteSnapCPG: 'd' }, signal())
      await setSyncPeriod(api, 'g', 't', 900, signal())
    }],
  'admits and dismisses volumes': [
    [{ ask: 'PUT /remotecopygroups/g', body: { action: 1, volumeName: 'v', targets: [{ targetName: 't', secVolumeName: 'v' }], volumeAutoCreation: true, differentSecondaryWWN: true } }, { ask: 'DELETE /remotecopygroups/g/volumes/v' }, { ask: 'DELETE /remotecopygroups/g/volumes/w?removeSecondaryVolume=true' }],
    async (api) => {
      await admitVolume(api, 'g', { volume: 'v', target: 't', secondary: 'v', create: true }, signal())
      await dismissVolume(api, 'g', 'v', false, signal())
      await dismissVolume(api, 'g', 'w', true, signal())
    }],
  'runs the actions by their numbers': [
    [
      { ask: 'PUT /remotecopygroups/g', body: { action: 3 } }, { ask: 'PUT /remotecopygroups/g', body: { action: 4 } }, { ask: 'PUT /remotecopygroups/g', body: { action: 5 } },
      { ask: 'POST /remotecopygroups/g.r9', body: { action: 7, targetName: 't' } }, { ask: 'POST /remotecopygroups/g.r9', body: { action: 9 } }, { ask: 'POST /remotecopygroups/g.r9', body: { action: 10, skipStart: true } }, { ask: 'DELETE /remotecopygroups/g?keepSnap=false', status: 202 },
    ],
    async (api) => {
      for (const action of ['start', 'stop', 'synchronise'] as const) await runRcAction(api, 'g', action, {}, signal())
      await runRcAction(api, 'g.r9', 'failover', { targetName: 't' }, signal())
      await runRcAction(api, 'g.r9', 'recover', {}, signal())
      await runRcAction(api, 'g.r9', 'restore', { skipStart: true }, signal())
      await removeRcGroup(api, 'g', signal())
    }],
  'reads a hundred groups with one request, and no group as none': [
    [{ ask: 'GET /remotecopygroups', answer: { total: 1, members: [{ id: 1, name: 'g', role: 1, remoteGroupName: 'g.r1', targets: [{ targetName: 't', roleReversed: false, state: 3, mode: 3 }], volumes: [] }] } }, { ask: 'GET /remotecopygroups/x', status: 404, answer: { code: 187, desc: 'no group' } }],
    async (api) => [(await listRcGroups(api, signal())).map(({ name, role }) => [name, role]), await findRcGroup(api, 'x', signal())], [[['g', 1]], undefined]],
}

describe('the wire', () => {
  it.each(Object.entries(cases))('%s', async (_, [lines, work, result]) => {
    const outcome = await onScript(lines.map(at), work)
    expect(outcome.result).toEqual(result)
  })

  it('does not filter exports on an array that is too old for it', async () => {
    const { array } = await onScript([{ ask: 'GET /api/v1/vluns', answer: { total: 0, members: [] } }], async (api) => listVluns({ ...api, build: 30201200 }, equals('volumeName', 'v1'), signal()))
    expect(array.seen).toHaveLength(4)
  })

  it.each(['../system', 'a/b', 'a b', '', '..', 'x?y', 'a"b', 'ä'])('lets no name out of its place: %j', (name) => {
    expect(() => segment(name)).toThrow(StorageError)
  })
})

describe('refusals', () => {
  const rows: readonly (readonly [status: number, code: number, kind: string])[] = [
    [403, 5, 'unauthenticated'], [403, 13, 'permissionDenied'], [400, 24, 'noSpace'], [403, 153, 'noSpace'], [404, 23, 'notFound'], [409, 22, 'alreadyExists'], [409, 32, 'hasDependents'], [409, 25, 'hasDependents'],
    [409, 26, 'stillPresented'], [409, 34, 'stillPresented'], [409, 151, 'busy'], [403, 120, 'inProgress'], [403, 215, 'busy'], [403, 284, 'busy'], [409, 237, 'alreadyExists'], [400, 57, 'invalidArgument'],
    [400, 9999, 'invalidArgument'], [403, 9999, 'permissionDenied'], [404, 9999, 'notFound'], [409, 9999, 'busy'], [500, 9999, 'arrayFault'], [418, 9999, 'arrayFault'],
  ]
  it.each(rows)('HTTP %i with code %i is %s, with the array\'s own words beside it', (status, code, kind) => {
    const error = refusalError('do it', { status, code, desc: 'its words', ref: 'name' })
    expect(error.kind).toBe(kind)
    expect(vendorCode(error)).toBe(code)
    expect(error.facts.details).toEqual({ http_status: status, vendor_code: code, vendor_text: 'its words', vendor_ref: 'name' })
    expect(error.facts.layer).toBe('array:hpe-3par')
  })
  it('a 503 without a body is unreachable', () => {
    expect(refusalError('do it', { status: 503 }).kind).toBe('unreachable')
  })
})
