/** queryConnectionParameters: what the user is asked for when an array manager is made. No secret but the password: SRM protects no other. */
import { parameterIds } from '../connection-parameters.ts'
import { en } from '../strings/en.ts'
import type { TextName } from '../strings/language.ts'
import type { Run } from './index.ts'

const localised = (name: TextName) => ({ text: en.texts[name], stringId: name })
const labels = (title: TextName, hint: TextName) => ({ title: localised(title), hint: localised(hint) })

export const run: Run<'queryConnectionParameters'> = async (_, { adapter }) => ({
  adapterConnectionParameters: [{
    id: parameterIds.connection,
    ...labels('ConnectionTitle', 'ConnectionHint'),
    addresses: [{ id: parameterIds.address, ...labels('AddressTitle', 'AddressHint') }],
    ...(adapter.username ? { username: labels('UsernameTitle', 'UsernameHint') } : {}),
    ...(adapter.password ? { password: labels('PasswordTitle', 'PasswordHint') } : {}),
    opaques: [
      { id: parameterIds.settings, optional: true, ...labels('SettingsTitle', 'SettingsHint') },
      { id: parameterIds.filter, optional: true, ...labels('FilterTitle', 'FilterHint') },
    ],
  }],
})
