import { describe, expect, it } from 'vitest'
import { barText, createProgressBar } from '../../../cli/smctl/progress.ts'

describe('the progress bar', () => {
  it.each([
    [0, 10, '[..............................]   0 %  0 of 10'],
    [5, 10, '[###############...............]  50 %  5 of 10'],
    [10, 10, '[##############################] 100 %  10 of 10'],
    [11, 10, '[##############################] 100 %  11 of 10'],
    [0, 0, '[..............................]   0 %  0 of 0'],
    [2 ** 30, 2 ** 32, '[#######.......................]  25 %  1.0 GiB of 4.0 GiB'],
  ])('%d of %d is drawn as %s', (done, total, text) => {
    expect(barText(done, total)).toBe(text)
  })

  it('draws nothing for short calls, redraws now and then, and wipes itself', () => {
    let now = 0
    const written: string[] = []
    const bar = createProgressBar((text) => void written.push(text), () => now)
    bar.update(1, 10)
    bar.clear()
    expect(written).toEqual([])
    for (now = 500; now < 1000; now += 10) bar.update(2, 10)
    expect(written.length).toBe(5)
    bar.clear()
    expect(written.at(-1)).toBe('\r\u001b[2K')
  })
})
