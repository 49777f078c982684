/** The languages, by their tags as SRM asks for them (RFC 1766). */
import type { Language } from './language.ts'

const languages: ReadonlyMap<string, () => Promise<Language>> = new Map([
  ['en', async () => (await import('./en.ts')).en],
  ['de', async () => (await import('./de.ts')).de],
  ['fr', async () => (await import('./fr.ts')).fr],
  ['ja', async () => (await import('./ja.ts')).ja],
  ['zh-CN', async () => (await import('./zh-cn.ts')).zhCn],
])

export const locales: readonly string[] = [...languages.keys()]

const normal = (tag: string): string => tag.toLowerCase().replaceAll('_', '-')

/** Any case, and zh_CN for zh-CN. undefined: there is no such language. */
export const languageOf = async (tag: string): Promise<Language | undefined> => {
  const name = locales.find((known) => normal(known) === normal(tag))
  return name === undefined ? undefined : languages.get(name)?.()
}
