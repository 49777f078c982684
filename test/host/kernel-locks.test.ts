import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asSrUuid, asVdiUuid } from '../../core/ids.ts'
import type { LockRequest } from '../../core/ports.ts'
import { createKernelLocks } from '../../host/kernel-locks.ts'

const sr = asSrUuid('87b8646b-b800-9500-cb7b-af3b74e02f5c')
const vdi = asVdiUuid('98de866e-b035-4b1a-a571-613bff542b89')
const never = new AbortController().signal
const exclusive: LockRequest = { sr, srMode: 'exclusive', vdis: [], purpose: 'SR.scan (call 1)' }
const onVdi: LockRequest = { sr, srMode: 'shared', vdis: [vdi], purpose: 'VDI.attach (call 2)' }

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-locks-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Another process that takes a lock, says so, and keeps it until it is killed. */
const holder = async (request: LockRequest) => {
  const script = `
    const { createKernelLocks } = await import(${JSON.stringify(new URL('../../host/kernel-locks.ts', import.meta.url).href)})
    await createKernelLocks(${JSON.stringify(directory)}).acquire(${JSON.stringify(request)}, 5000, new AbortController().signal)
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve())
    child.once('exit', (code) => reject(new Error(`the holder ended early with ${code}`)))
  })
  return {
    pid: child.pid,
    kill: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    },
  }
}

describe('kernel locks', () => {
  it('exclude another process, and tell which process and call holds them', async () => {
    const other = await holder(exclusive)
    try {
      await expect(createKernelLocks(directory).acquire(onVdi, 50, never)).rejects.toMatchObject({
        kind: 'inProgress', message: expect.stringMatching(new RegExp(`SR\\.scan \\(call 1\\), process ${other.pid}`)),
      })
    } finally {
      await other.kill()
    }
  })

  it('are free at once when the process that held them is killed', async () => {
    const other = await holder(exclusive)
    const locks = createKernelLocks(directory)
    const waiting = locks.acquire(exclusive, 10_000, never)
    await other.kill()
    ;(await waiting).release()
  })

  it('let two processes work on different VDIs and keep them off the same one', async () => {
    const other = await holder(onVdi)
    try {
      const locks = createKernelLocks(directory)
      const elsewhere = await locks.acquire({ ...onVdi, vdis: [asVdiUuid('0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53')] }, 50, never)
      elsewhere.release()
      await expect(locks.acquire(onVdi, 50, never)).rejects.toMatchObject({ kind: 'inProgress' })
      await expect(locks.acquire(exclusive, 50, never)).rejects.toMatchObject({ kind: 'inProgress' })
    } finally {
      await other.kill()
    }
  })

  it('leave nothing held after a refusal', async () => {
    const locks = createKernelLocks(directory)
    const held = await locks.acquire(onVdi, 50, never)
    const second = createKernelLocks(directory)
    await expect(second.acquire(exclusive, 30, never)).rejects.toMatchObject({ kind: 'inProgress' })
    held.release()
    ;(await second.acquire(exclusive, 30, never)).release()
    ;(await locks.acquire(exclusive, 30, never)).release()
  })
})
