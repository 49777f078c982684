/** queryCapabilities: the traits of the arrays in the words of the interface. */
import type { Adapter } from '../adapter.ts'
import { en } from '../strings/en.ts'
import { locales } from '../strings/index.ts'
import type { TextName } from '../strings/language.ts'
import type { AnswerOf, CommandName } from '../schema/index.ts'
import type { Run } from './index.ts'
import { supportedCommands } from './supported.ts'

type Capabilities = AnswerOf<'queryCapabilities'>['adapterCapabilities']
type Command = Capabilities['commands'][number]
type Protocol = Capabilities['features']['protocols'][number]

/** An array of files (a model) is presented to initiators of either kind. */
const protocolOf: Readonly<Record<Adapter['protocols'][number], readonly Protocol[]>> = { fc: ['FC'], iscsi: ['iSCSI'], nfs: ['NFS'], file: ['FC', 'iSCSI'] }

/** Names of queryDeviceDetails, and what they are called for the user. */
export const propertyTexts = { size: 'PropertySize', mode: 'PropertyMode', transfer: 'PropertyTransfer', sync: 'PropertySync', lastConsistent: 'PropertyLastConsistent' } as const satisfies Record<string, TextName>

/**
 * Where a command runs, seen from the direction it leads to. For a reversal the interface calls the promoted side the source, as it
 * is after it; the traits of an array call it the target, as it is before.
 */
export const locationOf = (command: CommandName, { sites }: Adapter['traits']): 'source' | 'target' | undefined => {
  if (command === 'syncOnce') return sites.sync
  if (command === 'restoreReplication') return sites.restore
  return command === 'reverseReplication' ? (sites.reverse === 'target' ? 'source' : 'target') : undefined
}

const commandOf = (command: CommandName, { traits }: Adapter): Command => {
  const executionLocation = locationOf(command, traits)
  return {
    name: command,
    ...(command === 'queryStrings' ? { locales: locales.map((id) => ({ id })) } : {}),
    ...(executionLocation === undefined ? {} : { executionLocation }),
    ...(command === 'queryDeviceDetails' ? { customProperties: Object.entries(propertyTexts).map(([name, text]) => ({ name, stringId: text, text: en.texts[text] })) } : {}),
  }
}

export const capabilitiesOf = (adapter: Adapter): Capabilities => {
  const { traits, arrayTitle, version } = adapter
  const protocols = [...new Set(adapter.protocols.flatMap((protocol) => protocolOf[protocol]))]
  const { identification } = traits
  return {
    replicationSoftwares: [{ name: `${en.texts.VendorName}: ${arrayTitle}`, version }],
    arrayModels: [{ name: arrayTitle, vendor: { text: en.texts.VendorName, stringId: 'VendorName' } }],
    features: {
      ...(traits.units.includes('group') ? { consistencyGroups: true } : {}),
      ...(traits.dynamicAccess ? { dynamicAccessRestriction: true } : {}),
      ...(identification === 'nfs' ? {} : { deviceIdentification: identification }),
      protocols,
    },
    commands: supportedCommands(adapter).map((command) => commandOf(command, adapter)),
  }
}

export const run: Run<'queryCapabilities'> = async (_, { adapter }) => ({ adapterCapabilities: capabilitiesOf(adapter) })
