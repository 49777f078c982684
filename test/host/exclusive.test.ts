import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExclusive } from '../../host/exclusive.ts'

const never = new AbortController().signal

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-exclusive-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const holder = async () => {
  const script = `
    const { createExclusive } = await import(${JSON.stringify(new URL('../../host/exclusive.ts', import.meta.url).href)})
    await createExclusive(${JSON.stringify(directory)})('iscsi', 'login to iqn.x', 5000, new AbortController().signal)
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return {
    pid: child.pid,
    kill: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

describe('a named lock of the host', () => {
  it('lets one caller of a process in at a time, and the next when it is let go', async () => {
    const exclusive = createExclusive(directory)
    const first = await exclusive('iscsi', 'first', 1000, never)
    const order: string[] = []
    const second = exclusive('iscsi', 'second', 10_000, never).then((held) => {
      order.push('second in')
      return held
    })
    await expect(exclusive('iscsi', 'third', 0, never)).rejects.toMatchObject({ kind: 'inProgress', message: expect.stringContaining(`first, process ${process.pid}`) })
    order.push('first out')
    first.release()
    ;(await second).release()
    expect(order).toEqual(['first out', 'second in'])
  })

  it('does not mind locks of other names', async () => {
    const exclusive = createExclusive(directory)
    const one = await exclusive('iscsi', 'one', 0, never)
    const other = await exclusive('multipath', 'other', 0, never)
    one.release()
    other.release()
  })

  it('keeps another process out, tells what it does, and is free when that process is killed', async () => {
    const other = await holder()
    const exclusive = createExclusive(directory)
    await expect(exclusive('iscsi', 'me', 50, never)).rejects.toMatchObject({ kind: 'inProgress', message: expect.stringContaining(`login to iqn.x, process ${other.pid}`) })
    const waiting = exclusive('iscsi', 'me', 30_000, never)
    await other.kill()
    ;(await waiting).release()
  })

  it('stops waiting when the call is cancelled', async () => {
    const exclusive = createExclusive(directory)
    const held = await exclusive('iscsi', 'one', 0, never)
    const controller = new AbortController()
    const waiting = exclusive('iscsi', 'other', 60_000, controller.signal)
    controller.abort(new Error('the caller went away'))
    await expect(waiting).rejects.toThrow('the caller went away')
    held.release()
  })
})
