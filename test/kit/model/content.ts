/** Sparse bytes of one model file. Pages are never changed in place, so a copy of the whole is a copy of the table. */

export const pageSize = 4096

export interface Content {
  length: number
  readonly pages: Map<number, Uint8Array>
}

export const emptyContent = (): Content => ({ length: 0, pages: new Map() })

export const copyContent = (content: Content): Content => ({ length: content.length, pages: new Map(content.pages) })

export const readContent = (content: Content, position: number, length: number): Uint8Array => {
  const end = Math.min(position + length, content.length)
  const bytes = new Uint8Array(Math.max(0, end - position))
  for (let at = position; at < end;) {
    const page = Math.floor(at / pageSize)
    const inPage = at - page * pageSize
    const take = Math.min(pageSize - inPage, end - at)
    const found = content.pages.get(page)
    if (found !== undefined) bytes.set(found.subarray(inPage, inPage + take), at - position)
    at += take
  }
  return bytes
}

/** Pages that a write would have to allocate. */
export const newPages = (content: Content, position: number, length: number): number => {
  if (length === 0) return 0
  let missing = 0
  for (let page = Math.floor(position / pageSize); page <= Math.floor((position + length - 1) / pageSize); page += 1) {
    if (!content.pages.has(page)) missing += 1
  }
  return missing
}

/** Shared by all pages of zeros: wiping a device must not cost its size in memory. */
const zeroPage = new Uint8Array(pageSize)

const isZero = (bytes: Uint8Array): boolean => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(zeroPage)

export const writeContent = (content: Content, position: number, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length;) {
    const at = position + done
    const page = Math.floor(at / pageSize)
    const inPage = at - page * pageSize
    const take = Math.min(pageSize - inPage, bytes.length - done)
    if (take === pageSize && isZero(bytes.subarray(done, done + pageSize))) {
      content.pages.set(page, zeroPage)
      done += take
      continue
    }
    const fresh = new Uint8Array(pageSize)
    const before = content.pages.get(page)
    if (before !== undefined && take < pageSize) fresh.set(before)
    fresh.set(bytes.subarray(done, done + take), inPage)
    content.pages.set(page, fresh)
    done += take
  }
  content.length = Math.max(content.length, position + bytes.length)
}

export const truncateContent = (content: Content, length: number): void => {
  if (length < content.length) {
    const lastPage = Math.floor(length / pageSize)
    const inPage = length % pageSize
    for (const page of content.pages.keys()) if (page > lastPage || (page === lastPage && inPage === 0)) content.pages.delete(page)
    const cut = content.pages.get(lastPage)
    if (cut !== undefined) {
      const fresh = new Uint8Array(pageSize)
      fresh.set(cut.subarray(0, inPage))
      content.pages.set(lastPage, fresh)
    }
  }
  content.length = length
}
