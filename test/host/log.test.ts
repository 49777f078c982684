import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { pinoLog } from '../../host/log.ts'

const recorded = () => {
  const lines: string[] = []
  return { lines, log: pinoLog(pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })) }
}

describe('the log', () => {
  it('writes facts of parents and its own on every line', () => {
    const { lines, log } = recorded()
    log.child({ call_id: 'c1' }).info({ sr: 's1' }, 'hello')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ call_id: 'c1', sr: 's1', msg: 'hello' })
  })

  it('hides a secret in facts, messages and errors', () => {
    const { lines, log } = recorded()
    log.child({}, ['hunter22']).error({ stderr: 'said hunter22', err: new Error('no hunter22') }, 'with hunter22')
    expect(lines.join('')).not.toContain('hunter22')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ stderr: 'said ***', err: { message: 'no ***' }, msg: 'with ***' })
  })

  it('hides it also where nobody knows of the call: tools are logged by the host', () => {
    const { lines, log } = recorded()
    log.child({}, ['hunter22'])
    log.debug({ argv: ['x'], stderr: 'hunter22' }, 'ran a tool')
    expect(lines.join('')).not.toContain('hunter22')
  })
})
