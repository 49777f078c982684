/** The five commands that need no array, for each type of array there is. */
import { describe, expect, it } from 'vitest'
import { builtinArrays } from '../../../drivers/array-replication/arrays.ts'
import { adapterOf, type Adapter } from '../../../sra/adapter.ts'
import { commandModules } from '../../../sra/commands/index.ts'
import { capabilitiesOf, locationOf, propertyTexts } from '../../../sra/commands/query-capabilities.ts'
import { run as queryConnectionParameters } from '../../../sra/commands/query-connection-parameters.ts'
import { run as queryErrorDefinitions } from '../../../sra/commands/query-error-definitions.ts'
import { run as queryInfo } from '../../../sra/commands/query-info.ts'
import { run as queryStrings } from '../../../sra/commands/query-strings.ts'
import { deviceProperties } from '../../../sra/device-properties.ts'
import { readResponse, writeResponse } from '../../../sra/response.ts'
import type { CommandName, RequestOf, ResponseOf } from '../../../sra/schema/index.ts'
import { languageOf, locales } from '../../../sra/strings/index.ts'
import { stringsOf } from '../../../sra/strings/language.ts'
import { validate } from '../../../sra/validate.ts'

const adapterFor = async (type: string): Promise<Adapter> => {
  const driver = await builtinArrays[type]?.()
  if (driver === undefined) throw new Error(`no array type ${type}`)
  return adapterOf(driver, '1.2.3', 'https://example.org/help')
}
const ask = <C extends CommandName>(command: C, parameters: RequestOf<C>['parameters']): RequestOf<C> => ({ command, outputFile: 'o', logLevel: 'info', connections: [], parameters }) as unknown as RequestOf<C>

/** Every stringId of a value. */
const idsIn = (value: unknown): readonly string[] => {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) => (name === 'stringId' ? [String(part)] : idsIn(part)))
}

describe.each(Object.keys(builtinArrays))('the adapter of %s', (type) => {
  const throughXml = async <C extends CommandName>(command: C, response: ResponseOf<C>): Promise<ResponseOf<C>> => {
    const xml = writeResponse(command, response)
    expect((await validate(xml, command)).findings).toEqual([])
    return readResponse(command, xml)
  }

  it('answers each of them as the tables ask, and every stringId has a string in every language', async () => {
    const world = { adapter: await adapterFor(type) }
    const answers = [
      await throughXml('queryInfo', await queryInfo(ask('queryInfo', undefined), world)),
      await throughXml('queryErrorDefinitions', await queryErrorDefinitions(ask('queryErrorDefinitions', undefined), world)),
      await throughXml('queryCapabilities', { adapterCapabilities: capabilitiesOf(world.adapter) }),
      await throughXml('queryConnectionParameters', await queryConnectionParameters(ask('queryConnectionParameters', undefined), world)),
    ]
    const ids = idsIn(answers)
    expect(ids.length).toBeGreaterThan(80)
    for (const locale of locales) {
      const language = await languageOf(locale)
      const strings = new Set(language === undefined ? [] : stringsOf(language).map(({ id }) => id))
      expect(ids.filter((id) => !strings.has(id)), locale).toEqual([])
    }
  })

  it('lists every command that is written and that its arrays can do, with locations where they may be', async () => {
    const adapter = await adapterFor(type)
    const { commands, features } = capabilitiesOf(adapter)
    for (const { name, executionLocation, locales: offered } of commands) {
      expect(Object.keys(commandModules)).toContain(name)
      expect(executionLocation !== undefined, name).toBe(['syncOnce', 'reverseReplication', 'restoreReplication'].includes(name))
      expect(offered?.map(({ id }) => id), name).toEqual(name === 'queryStrings' ? ['en', 'de', 'fr', 'ja', 'zh-CN'] : undefined)
    }
    expect(features.deviceIdentification).toBe(adapter.traits.identification)
  })

  it('has the same identity in every version', async () => {
    const adapter = await adapterFor(type)
    const now = await queryInfo(ask('queryInfo', undefined), { adapter })
    const later = await queryInfo(ask('queryInfo', undefined), { adapter: { ...adapter, version: '9.9.9' } })
    expect('adapterInfo' in now && 'adapterInfo' in later && now.adapterInfo.uuid === later.adapterInfo.uuid).toBe(true)
  })
})

it('a reversal that runs at the promoted array is published as one at the source', async () => {
  const { traits } = await adapterFor('model')
  const location = (reverse: 'source' | 'target'): unknown => locationOf('reverseReplication', { ...traits, sites: { ...traits.sites, reverse } })
  expect([location('target'), location('source')]).toEqual(['source', 'target'])
})

it('every property that queryDeviceDetails answers has a label', () => {
  expect(Object.keys(propertyTexts)).toEqual(deviceProperties.map(({ name }) => name))
})

it('the identity differs between types of arrays, as SRM may hold several adapters', async () => {
  const uuids = await Promise.all(Object.keys(builtinArrays).map(async (type) => queryInfo(ask('queryInfo', undefined), { adapter: await adapterFor(type) })))
  expect(new Set(uuids.map((answer) => ('adapterInfo' in answer ? answer.adapterInfo.uuid : ''))).size).toBe(uuids.length)
})

describe('queryStrings', () => {
  const strings = async (locale: string) => queryStrings(ask('queryStrings', { locale }), { adapter: await adapterFor('model') })

  it.each([['ja'], ['zh_CN'], ['DE']])('answers %s with the tag it was asked with', async (locale) => {
    expect(await readResponse('queryStrings', writeResponse('queryStrings', await strings(locale)))).toMatchObject({ strings: { locale } })
  })

  it.each([['it'], ['__proto__'], ['constructor']])('refuses %s with code 101', async (locale) => {
    expect(await strings(locale)).toEqual({ error: { code: 101, placeholders: { Locale: locale } } })
  })
})
