/** What host cases of a suite work with: calls into the guest, and power cuts under load with a check after each. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundleSuite } from './bundle.ts'
import { isLabFailure, labFailure } from './failure.ts'
import type { Guest } from './guest.ts'
import { lineSplitter, parseFrame } from './protocol.ts'
import type { CaseResult, LabHost, LabSuite } from './suite.ts'

const ackFile = (guest: Guest): string => join(guest.share, 'ack.log')

/** Whole lines only: the last one may be half written when the power goes. */
const acknowledged = (guest: Guest): readonly string[] =>
  existsSync(ackFile(guest)) ? readFileSync(ackFile(guest), 'utf8').split('\n').slice(0, -1) : []

export const createLabHost = (suite: LabSuite, guests: readonly [Guest, ...Guest[]], say: (line: string) => void): LabHost => {
  const first = guests[0]

  const start = async (entry: string, guest: Guest, args: readonly string[], timeoutMs: number): Promise<unknown> => {
    const path = await bundleSuite(suite.name, guest.share)
    let answer: unknown
    let failure: string | undefined
    const { code, stderr, timedOut } = await guest.exec([process.execPath, '--enable-source-maps', path, 'entry', entry, '-'], {
      timeoutMs, stdin: JSON.stringify(args),
      onOutput: ((split) => (stream: string, chunk: Buffer) => { if (stream === 'stdout') split(chunk) })(lineSplitter((line) => {
        const frame = parseFrame<{ readonly value?: unknown } & Partial<CaseResult>>(line)
        if (frame === undefined) return
        if ('value' in frame) answer = frame.value
        else failure = frame.error
      })),
    })
    if (code === 0) return answer
    throw new Error(`The entry ${entry} failed in ${guest.name}: ${timedOut ? `it did not end within ${timeoutMs / 1000} s` : failure ?? `status ${code}`}\n${stderr}`.trimEnd())
  }

  return {
    guests, say,
    call: (entry, { guest = first, args = [], timeoutMs = 600_000 } = {}) => start(entry, guest, args, timeoutMs),
    async cutAndCheck({ workload, check, cuts, between = [0, 3000], atLeast = 1, guest = first }) {
      rmSync(ackFile(guest), { force: true })
      for (let cut = 1; cut <= cuts; cut++) {
        const before = acknowledged(guest).length
        let ended: string | undefined
        const working = start(workload, guest, [String(cut)], Number.POSITIVE_INFINITY).then(
          () => { ended = 'it ended by itself' },
          // The cut itself ends the call with a lab failure; anything else is the workload's own.
          (error: unknown) => { if (!isLabFailure(error)) ended = error instanceof Error ? error.message : String(error) },
        )
        for (const deadline = performance.now() + 300_000; acknowledged(guest).length < before + atLeast; await sleep(20)) {
          if (ended !== undefined) throw new Error(`The workload ${workload} must go on until the power is cut: ${ended}`)
          if (performance.now() > deadline) throw labFailure(`The workload ${workload} acknowledged fewer than ${atLeast} steps within 300 s`)
        }
        const [from, to] = between
        await sleep(from + Math.random() * (to - from))
        if (ended !== undefined) throw new Error(`The workload ${workload} must go on until the power is cut: ${ended}`)
        await guest.powerCut()
        await working
        const lines = acknowledged(guest)
        await guest.reboot()
        await start(check, guest, lines, 600_000)
        say(`power cut ${cut} of ${cuts}: ${lines.length - before} acknowledged steps, all there`)
      }
      return { cuts, acknowledged: acknowledged(guest).length }
    },
  }
}
