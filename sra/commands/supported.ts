/** Which commands an adapter has: those that are written and that its arrays can do. */
import type { Adapter } from '../adapter.ts'
import { commandNames, type CommandName } from '../schema/index.ts'
import { commandModules } from './index.ts'

const needs: { readonly [C in CommandName]?: (adapter: Adapter) => boolean } = {
  queryRecoveryPoints: ({ traits }) => traits.recoveryPoints,
  prepareReverseReplication: ({ traits }) => traits.prepares.reverse,
  prepareRestoreReplication: ({ traits }) => traits.prepares.restore,
}

/** A command that is not is answered with code 100. */
export const isSupported = (command: CommandName, adapter: Adapter): boolean => commandModules[command] !== undefined && (needs[command]?.(adapter) ?? true)

export const supportedCommands = (adapter: Adapter): readonly CommandName[] => commandNames.filter((command) => isSupported(command, adapter))
