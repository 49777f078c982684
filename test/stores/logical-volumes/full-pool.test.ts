/** What a thin pool that takes nothing new is called: full, or out of order. */
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import { parseAttributes } from '../../../host/lvm/attributes.ts'
import { refuseFullPool } from '../../../stores/logical-volumes/volumes.ts'

const refusal = (lvAttr: string, dataUsed: number, metadataUsed: number): StorageError | undefined => {
  const attributes = parseAttributes(lvAttr)
  if (attributes === undefined) throw new Error(`${lvAttr} is no lv_attr`)
  const group = { name: 'VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c', uuid: 'u', tags: [], size: 2 ** 30, free: 0, extentSize: 2 ** 22, missing: 0, autoactivation: false }
  try {
    refuseFullPool({ group, volumes: [{ name: 'pool', uuid: 'p', attributes, size: 2 ** 29, tags: [], dataUsed, metadataUsed }] })
    return undefined
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
}

describe('a thin pool', () => {
  it.each([
    ['twi-aotz--', 0.5, 0.1, undefined],
    ['twi-aotzD-', 1, 0.1, 'noSpace'],
    ['twi-aotz--', 1, 0.1, 'noSpace'],
    ['twi-aotzM-', 0.5, 1, 'noSpace'],
    // lab: the kernel stops with a tenth of the metadata left, which it keeps for deletions
    ['twi-cotzM-', 0.5, 0.9, 'noSpace'],
    // lab: a disk that fails writes
    ['twi-cotzM-', 0.1, 0.1, 'ioError'],
    ['twi-cotz--', 0.1, 0.1, 'ioError'],
    ['twi-aotzF-', 0.1, 0.1, 'ioError'],
  ])('with %s, data %s and metadata %s in use takes a new volume or says why not: %s', (attr, data, metadata, kind) => {
    expect(refusal(attr, data, metadata)?.kind).toBe(kind)
  })

  it('says how its metadata is made larger when that is what is full', () => {
    expect(refusal('twi-aotzM-', 0.5, 1)?.facts.remedy).toMatch(/lvextend --poolmetadatasize \+16m VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c\/pool/)
    expect(refusal('twi-aotzD-', 1, 0.1)?.facts.remedy).not.toMatch(/poolmetadatasize/)
  })
})
