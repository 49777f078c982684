/** Long loops in slices: whoever waits for a small answer meanwhile waits for one slice at most. */

const lookUp = async (): Promise<void> => new Promise((resolve) => {
  setImmediate(resolve)
})

/** Like `map`, letting others in after every `size` items. */
export const mapInSlices = async <T, R>(items: Iterable<T>, size: number, map: (item: T) => R): Promise<R[]> => {
  const results: R[] = []
  for (const item of items) {
    results.push(map(item))
    if (results.length % size === 0) await lookUp()
  }
  return results
}
