import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeTags, encodeTag, encodeTags, tagChange } from '../../../host/lvm/tags.ts'

/** What LVM takes for a tag (lvm(8), "VALID NAMES"). */
const legal = /^[A-Za-z0-9_+.\-/=!:&#]{1,1023}$/
const key = fc.constantFrom('name', 'description', 'lock', 'copy-of')
const text = fc.string({ unit: 'binary', maxLength: 2000 })

describe('text in LVM tags', () => {
  it('is readable for people where it is plain', () => {
    expect(encodeTag('name', 'root-disk_1.2')).toEqual(['sm.name=root-disk_1.2'])
    expect(encodeTag('name', 'Disk one')).toEqual(['sm.name=Disk=20one'])
    expect(encodeTag('name', 'Ü')).toEqual(['sm.name==C3=9C'])
    expect(encodeTag('name', '')).toEqual([])
  })

  it('comes back as it was, whatever it holds, in any order of the tags', () => {
    fc.assert(fc.property(key, text, fc.infiniteStream(fc.nat()), (name, value, lots) => {
      const tags = [...encodeTag(name, value)]
      for (const tag of tags) expect(tag).toMatch(legal)
      for (const [index] of tags.entries()) {
        const other = (lots.next().value ?? 0) % tags.length
        ;[tags[index], tags[other]] = [tags[other] ?? '', tags[index] ?? '']
      }
      const { values, unreadable } = decodeTags(tags)
      expect(values[name] ?? '').toBe(value)
      expect(unreadable).toEqual([])
    }))
  })

  it('goes on in further tags when it is long, and never cuts a byte in two', () => {
    const tags = encodeTag('description', '日本語 '.repeat(1000))
    expect(tags.length).toBeGreaterThan(20)
    for (const tag of tags) expect(tag).toMatch(/^sm\.description(\.\d+)?=([A-Za-z0-9_.-]|=[0-9A-F]{2})*$/)
    expect(decodeTags(tags).values).toEqual({ description: '日本語 '.repeat(1000) })
  })

  it('passes over the tags of others, and tells the ones of ours that cannot be read', () => {
    expect(decodeTags(['hidden', 'vhd-parent=x', 'smart=yes'])).toEqual({ values: {}, unreadable: [] })
    expect(decodeTags(['sm.name=a', 'sm.name=b']).unreadable).toEqual(['sm.name=b'])
    expect(decodeTags(['sm.name.1=tail']).unreadable).toEqual(['sm.name.1=tail'])
    expect(decodeTags(['sm.name==FF']).unreadable).toEqual(['sm.name==FF'])
    expect(decodeTags(['sm.name=x=2']).unreadable).toEqual(['sm.name=x=2'])
    expect(decodeTags(['sm.', 'sm.Name=x']).unreadable).toEqual(['sm.', 'sm.Name=x'])
  })

  it('is changed by additions and removals that have no tag in common, which LVM would drop', () => {
    fc.assert(fc.property(text, text, text, (before, after, other) => {
      const present = encodeTags({ name: before, description: other })
      const { add, remove } = tagChange(present, { name: after })
      expect(add.filter((tag) => remove.includes(tag))).toEqual([])
      expect(remove.every((tag) => present.includes(tag))).toBe(true)
      const next = [...present.filter((tag) => !remove.includes(tag)), ...add]
      const { values } = decodeTags(next)
      expect([values['name'] ?? '', values['description'] ?? '']).toEqual([after, other])
    }))
  })

  it('takes every tag of a key away, also unreadable ones', () => {
    expect(tagChange(['sm.lock=a', 'sm.lock.1=b', 'sm.lock', 'sm.locked=x'], { lock: undefined })).toEqual({ add: [], remove: ['sm.lock=a', 'sm.lock.1=b', 'sm.lock'] })
  })
})
