/** Model of an array behind iSCSI and of the initiators of two hosts, behind the ports of the storage manager. */
import type { Machine, ModelHost, ToolModel } from '../../model/machine.ts'
import { copyArray, portalName, type ModelArray } from './array.ts'
import { answers, copyInitiator, createInitiator, rescanSession, show, type ModelInitiator } from './initiator.ts'
import { readText, writeText } from './records.ts'
import { runTool, toolNames } from './tools.ts'

export interface IscsiModel extends ToolModel {
  readonly array: ModelArray
  initiatorOf(host: ModelHost): ModelInitiator
  /** The array, its network or something on a host has changed by itself: the kernels notice what they notice without a rescan. */
  stir(hosts: readonly ModelHost[]): void
}

const initiatorPath = '/etc/iscsi/initiatorname.iscsi'

const assemble = (array: ModelArray, initiators: ReadonlyMap<string, ModelInitiator>): IscsiModel => {
  const initiatorOf = (host: ModelHost): ModelInitiator => {
    const found = initiators.get(host.id)
    if (found === undefined) throw new Error(`the model knows no host ${host.id}`)
    return found
  }
  return {
    array, initiatorOf, tools: toolNames,
    run(command, host) {
      const initiator = initiatorOf(host)
      const result = runTool({ array, initiator, host }, command)
      show(array, initiator, host)
      return result
    },
    inventory: (host) => {
      const { sessions, maps } = initiatorOf(host)
      return [
        ...sessions.map((session) => `${host.id} session ${session.target} ${portalName(session.portal)} as ${session.initiator}`),
        ...[...maps.keys()].map((wwid) => `${host.id} map ${wwid}`),
      ]
    },
    stir(hosts) {
      for (const host of hosts) {
        const initiator = initiatorOf(host)
        for (const session of initiator.sessions) {
          const state = answers(array, session) ? 'LOGGED_IN' : 'FAILED'
          if (state === 'LOGGED_IN' && session.state !== state) rescanSession(array, initiator, session)
          session.state = state
        }
        show(array, initiator, host)
      }
    },
    copy: (volume, rebooted) => assemble(copyArray(array, volume), new Map([...initiators].map(([id, initiator]) => [id, copyInitiator(initiator, rebooted && id === 'host-1')]))),
  }
}

export const createIscsiModel = (array: ModelArray, hosts: readonly ModelHost[]): IscsiModel => {
  const initiators = new Map(hosts.map((host, index) => [host.id, createInitiator(`iqn.2024-01.org.example:host-${index + 1}`)]))
  return assemble(array, initiators)
}

/** What a host with open-iscsi has from the start. Its root must be its own. */
export const setUpIscsi = (model: IscsiModel, hosts: readonly ModelHost[]): void => {
  for (const host of hosts) {
    if (readText(host, initiatorPath) === undefined) writeText(host, initiatorPath, `InitiatorName=${model.initiatorOf(host).name}\n`)
    show(model.array, model.initiatorOf(host), host)
  }
}

export const iscsiOf = (machine: Machine): IscsiModel => {
  const model = machine.tools.find((tool) => tool.tools.includes('iscsiadm'))
  if (model === undefined) throw new Error('the machine has no iSCSI')
  return model as IscsiModel
}
