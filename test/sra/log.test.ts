/** The log of a command: pairs, ids, names, levels, and no secrets in any spelling. */
import { describe, expect, it } from 'vitest'
import { createLog, enginesLog, shown, type LogSink } from '../../sra/log/log.ts'
import { redacted } from '../../sra/log/request.ts'
import { readTree } from '../../sra/tree.ts'

const collect = (level: LogSink['level'], secrets: readonly string[] = []) => {
  const lines: string[] = []
  return { lines, log: createLog({ level, line: (text) => lines.push(text), now: () => 0, secrets }, 'run') }
}

describe('the log of a command', () => {
  it('dates each line and tells the operations of several items apart', () => {
    const { lines, log } = collect('verbose')
    const [one, two] = [log.child(), log.child()]
    const step = one.begin('first')
    two.begin('second').fail('no space')
    step.complete('done')
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z [verbose] [run-1] Commence: first', '1970-01-01T00:00:00.000Z [verbose] [run-2] Commence: second',
      '1970-01-01T00:00:00.000Z [error] [run-2] Failed: second: no space', '1970-01-01T00:00:00.000Z [verbose] [run-1] Complete: first: done',
    ])
  })

  it.each([['error', 1], ['warning', 2], ['info', 3], ['verbose', 4], ['trivia', 5]] as const)('writes at level %s what is asked for', (level, count) => {
    const { lines, log } = collect(level)
    for (const one of ['error', 'warning', 'info', 'verbose', 'trivia'] as const) log.write(one, 'text')
    expect(lines).toHaveLength(count)
  })

  it('quotes names with blanks, and lets none begin a line of its own', () => {
    expect(['plain:1', 'two words', 'a"b', 'x\nCommence: y', 'ü', 'right\u202eleft'].map(shown)).toEqual(['plain:1', '"two words"', '"a\\"b"', '"x\\nCommence: y"', 'ü', '"right\\u202eleft"'])
  })

  it('hides secrets wherever they come from', () => {
    const { lines, log } = collect('trivia', ['hunter22'])
    enginesLog(log).warn({ url: 'https://u:hunter22@array', error: new Error('hunter22') }, 'said hunter22')
    expect(lines.join()).not.toContain('hunter22')
    expect(lines.join()).toContain('url=')
  })
})

describe('the request in the log', () => {
  it('holds no user, password or opaque value, however they are written, and keeps the rest', async () => {
    const tree = await readTree(`<s:Command xmlns:s="http://www.vmware.com/srm/sra/v2" Password="p4ssw0rd">
      <s:Connection id="c"><s:Username>&#x75;ser<![CDATA[name]]></s:Username><s:Password>p4&amp;ss<![CDATA[w0rd]]></s:Password>
      <s:Opaques><s:Opaque id="settings">to&#107;en</s:Opaque><s:Opaque id="deviceNamePrefix">srm-</s:Opaque></s:Opaques></s:Connection>
      <x:Password xmlns:x="urn:other"><x:Inner>p4ssw0rd</x:Inner></x:Password><s:TargetGroup key="a &amp; &quot;b&#10;"/></s:Command>`)
    const text = redacted(tree)
    for (const secret of ['p4', 'w0rd', 'user', 'name>', 'token']) expect(text.toLowerCase().replaceAll('username', '')).not.toContain(secret)
    expect(text).toContain('<Opaque id="deviceNamePrefix">srm-</Opaque>')
    expect(text).toContain('key="a &#38; &#34;b&#10;"')
  })
})
