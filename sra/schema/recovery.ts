/** Answers of the commands that move roles: every group and device of the request, once each, with its result or its error. */
import { failed, identity, ports, promoted, recoveryPoint, success, warnings } from './parts.ts'
import { idText, list, optional, record } from './shape.ts'

const done = { children: { Success: success, Warnings: warnings } } as const
const doneById = { kind: 'choice', attributes: { id: idText }, choices: [done, failed], says: 'An item of the request.' } as const
const doneByKey = { kind: 'choice', attributes: { key: idText }, choices: [done, failed], says: 'An item of the request.' } as const

export const targetsDone = record({}, {
  TargetGroups: optional(list('TargetGroup', doneByKey, 'key')),
  TargetDevices: optional(list('TargetDevice', doneByKey, 'key')),
}, 'What became of each item.')

export const sourcesDone = record({}, {
  ConsistencyGroups: optional(list('ConsistencyGroup', doneById, 'id')),
  SourceDevices: optional(list('SourceDevice', doneById, 'id')),
}, 'What became of each item.')

export const idsDone = record({}, {
  ConsistencyGroups: optional(list('ConsistencyGroup', doneById, 'id')),
  Devices: optional(list('Device', doneById, 'id')),
}, 'What became of each item.')

/** RecoveryPoint stands before TargetDevices here, behind them in discoverDevices: each as its own table says. */
const groupCopy = record({ id: idText }, {
  RecoveryPoint: recoveryPoint,
  TargetDevices: list('TargetDevice', record({ key: idText }, { Snapshot: record({ id: idText }, { Identity: identity }, 'Its copy.') }, 'A member.'), 'key'),
}, 'Writable copies of all members.')

export const testCopies = record({}, {
  TargetGroups: optional(list('TargetGroup', {
    kind: 'choice', says: 'An item of the request.', attributes: { key: idText }, choices: [{ children: { Snapshot: groupCopy, Warnings: warnings } }, failed],
  }, 'key')),
  TargetDevices: optional(list('TargetDevice', {
    kind: 'choice', says: 'An item of the request.', attributes: { key: idText },
    choices: [{ children: { Snapshot: record({ id: idText }, { Identity: identity, RecoveryPoint: recoveryPoint }, 'A writable copy.'), Warnings: warnings } }, failed],
  }, 'key')),
  ...ports,
}, 'The copy of each item.')

export const failovers = record({}, {
  TargetGroups: optional(list('TargetGroup', {
    kind: 'choice', says: 'An item of the request; id and state when it was promoted.', attributes: { key: idText },
    choices: [
      {
        attributes: promoted,
        children: {
          RecoveryPoint: recoveryPoint,
          TargetDevices: list('TargetDevice', record({ key: idText, ...promoted }, { Identity: identity }, 'A member.'), 'key'),
          Warnings: warnings,
        },
      },
      failed,
    ],
  }, 'key')),
  TargetDevices: optional(list('TargetDevice', {
    kind: 'choice', says: 'An item of the request; id and state when it was promoted.', attributes: { key: idText },
    choices: [{ attributes: promoted, children: { Identity: identity, RecoveryPoint: recoveryPoint, Warnings: warnings } }, failed],
  }, 'key')),
  ...ports,
}, 'The promoted device of each item.')
