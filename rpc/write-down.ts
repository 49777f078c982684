/** Answers as text. The list of a large SR takes its time: it is written in slices, and small calls are answered in between. */
import { mapInSlices } from '../core/slices.ts'

/** Lists shorter than this are written in one go. */
const long = 1000
const slice = 200

const isLongList = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > long

/** The same text as JSON.stringify(response). */
export const writeDown = async (response: object): Promise<string> => {
  const { result } = response as { readonly result?: unknown }
  if (typeof result !== 'object' || result === null || !Object.values(result).some(isLongList)) return JSON.stringify(response)
  const members: string[] = []
  for (const [name, value] of Object.entries(result)) {
    const text = isLongList(value)
      ? `[${(await mapInSlices(value, slice, (item) => JSON.stringify(item) ?? 'null')).join(',')}]`
      : JSON.stringify(value)
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`)
  }
  const others = Object.entries(response).map(([name, value]) => `${JSON.stringify(name)}:${name === 'result' ? `{${members.join(',')}}` : JSON.stringify(value)}`)
  return `{${others.join(',')}}`
}
