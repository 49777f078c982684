/** Two hosts on one NFS SR: lab-b serves it and uses it, lab-a uses it over the net. Locks, changes from both sides, hosts and servers that die. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Engine } from '../../../core/caller.ts'
import { StorageError } from '../../../core/errors.ts'
import { cutsFor } from '../fixtures/cuts.ts'
import { judgeStorm, patiently, storm } from '../fixtures/image-storm.ts'
import { nfsServer } from '../fixtures/nfs.ts'
import { logbook, realEngine, srMounts } from '../fixtures/real-world.ts'
import { labDisk, tool, waitFor } from '../fixtures/tool.ts'
import { suite, type EntryContext, type LabHost } from '../suite.ts'

const MiB = 2 ** 20
const address = '10.77.0.2'
const sr_uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi_uuid = '98de866e-b035-4b1a-a571-613bff542b89'
const place = { type: 'nfs', device_config: { server: address, serverpath: '/sr', nfsversion: '4.2' } } as const
const state = '/run/lab-pair'

/** The engine of this host, with the SR attached. */
const attached = async <T>(work: (engine: Engine) => Promise<T>): Promise<T> => {
  mkdirSync(state, { recursive: true })
  const engine = await realEngine(state, logbook().log)
  try {
    // The server is another emulated machine, which can be slower than a call waits just when both have much to do.
    await patiently(async () => engine.call('SR.attach', { sr_uuid, ...place }), ['unreachable'])
    return await work(engine)
  } finally {
    await engine.close()
  }
}

/** What a call answered: `ok`, or the kind of its error. */
const outcome = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    return error.kind
  }
}

/** Errors that say: the storage was away, or its locks were; nothing else may happen. */
const away = ['unreachable', 'outcomeUnknown', 'ioError', 'srNotAttached', 'inProgress', 'deadlineExceeded']

const pair = ({ guests }: LabHost) => {
  const [client, server] = guests
  assert.ok(server)
  return { client, server }
}

const lines = (answer: unknown): readonly string[] => {
  assert.ok(Array.isArray(answer) && answer.every((line) => typeof line === 'string'), JSON.stringify(answer))
  return answer
}

interface Outage {
  readonly said: readonly string[]
  /** Of the calls that failed. */
  readonly kinds: readonly string[]
}

/** Changes of a host that go through an outage, and have begun when this returns; call what it answers for their end. */
const outageOf = async (lab: LabHost): Promise<() => Promise<Outage>> => {
  const log = join(lab.guests[0].share, 'ack.log')
  rmSync(log, { force: true })
  const outage = lab.call('throughOutage', { args: ['2'] })
  const begun = waitFor('the first changes', () => existsSync(log) && readFileSync(log, 'utf8').includes('removed'))
  await Promise.race([begun, outage.then(() => {
    throw new Error('the changes have ended before the outage')
  })])
  // Awaited at its end; until then its failure is nobody's.
  outage.catch(() => undefined)
  return async () => await outage as Outage
}

const readNumber = ({ args }: EntryContext, index: number): number => Number(args[index])

export default suite({
  name: 'nfs-pair',
  driver: 'nfs',
  seconds: 240,
  guests: 2,
  disks: [512 * MiB],
  memoryMiB: 1024,
  entries: {
    async serve({ args }) {
      const again = args[0] === 'again'
      // Status 1: it has replayed the journal, which is what a power cut leaves to do.
      if (again) assert.ok((await tool(['e2fsck', '-p', labDisk(0)])).code <= 1)
      await nfsServer({ exports: [{ name: 'sr' }], device: labDisk(0), address, keep: again })
    },
    async create() {
      mkdirSync(state, { recursive: true })
      const engine = await realEngine(state, logbook().log)
      await engine.call('SR.create', { sr_uuid, ...place })
      await engine.close()
      await attached(async (made) => void (await made.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })))
    },
    /** args: the steps, each `lock:<owner>`, `lock:<owner>:<seconds>`, `force:<owner>`, `force:<owner>:<seconds>`, `unlock:<owner>` or `inherit:<owner>`. Answers what became of each. */
    steps: async ({ args }) => attached(async (engine) => {
      const answers: string[] = []
      for (const [verb, owner = '', seconds] of args.map((step) => step.split(':'))) {
        const lock = async (): Promise<string> => outcome(patiently(async () => engine.call('VDI.lock', { sr_uuid, vdi_uuid, owner, force: verb === 'force', ...(seconds === undefined ? {} : { ttl_seconds: Number(seconds) }) })))
        if (verb === 'unlock') answers.push(await outcome(patiently(async () => engine.call('VDI.unlock', { sr_uuid, vdi_uuid, owner }))))
        else if (verb === 'inherit') answers.push(await waitFor('the lock to expire', async () => (await lock()) === 'ok' && 'ok'))
        else answers.push(await lock())
      }
      return answers
    }),
    /** args: rounds. Answers the lines. */
    rounds: async (context) => attached(async (engine) => {
      const said: string[] = []
      const count = readNumber(context, 0)
      const well = await storm({ engine, sr_uuid, say: (line) => void said.push(line), goOn: (round) => round < count })
      assert.equal(well, count)
      return said
    }),
    /** Until power or the host ends it. */
    forEver: async (context) => attached(async (engine) => void (await storm({ engine, sr_uuid, say: (line) => context.ack(line), goOn: () => true }))),
    /** args: rounds that must end well after the first failure. Answers the lines, and the kinds of the failures. */
    throughOutage: async (context) => attached(async (engine) => {
      const said: string[] = []
      const kinds: string[] = []
      let after = 0
      const wanted = readNumber(context, 0)
      let before = 0
      await storm({
        engine, sr_uuid,
        say: (line) => {
          said.push(line)
          if (line.startsWith('removed')) context.ack(line)
          if (line.startsWith('removed') && kinds.length > 0) after += 1
          if (line.startsWith('removed') && kinds.length === 0) before += 1
        },
        failed: (error) => {
          assert.ok(away.includes(error.kind), `${error.kind}: ${error.message}`)
          kinds.push(`${error.kind}: ${error.message}`)
        },
        goOn: () => after < wanted && before < 100,
      })
      return { said, kinds }
    }),
    judge: async ({ args }) => attached(async (engine) => judgeStorm(engine, sr_uuid, [...args, `making ${vdi_uuid} ${4 * MiB}`])),
    judgeCut: async ({ args }) => attached(async (engine) => judgeStorm(engine, sr_uuid, args, 'some')),
    async leave() {
      mkdirSync(state, { recursive: true })
      const engine = await realEngine(state, logbook().log)
      await engine.call('SR.detach', { sr_uuid })
      await engine.close()
      assert.deepEqual(srMounts(state), [])
    },
  },
  host: [
    {
      name: 'a lock of one host keeps the other out, until it is released, broken by force, or has expired',
      async run(lab) {
        const { server } = pair(lab)
        await lab.call('serve', { guest: server })
        await lab.call('create')
        const here = async (...args: readonly string[]) => lab.call('steps', { args })
        const there = async (...args: readonly string[]) => lab.call('steps', { guest: server, args })
        assert.deepEqual(await here('lock:a'), ['ok'])
        assert.deepEqual(await there('lock:b', 'unlock:b', 'force:b'), ['lockUnavailable', 'lockUnavailable', 'ok'])
        assert.deepEqual(await here('lock:a', 'force:a:2'), ['lockUnavailable', 'ok'])
        assert.deepEqual(await there('inherit:heir', 'unlock:heir'), ['ok', 'ok'])
      },
    },
    {
      name: 'both hosts create, resize, snapshot, delete and scan at the same time, and every disk is as it was told',
      async run(lab) {
        const { server } = pair(lab)
        const both = await Promise.all([lab.call('rounds', { args: ['5'] }), lab.call('rounds', { guest: server, args: ['5'] })])
        const said = both.flatMap(lines)
        await lab.call('judge', { args: said })
        await lab.call('judge', { guest: server, args: said })
        lab.say(`${said.length} words about ${new Set(said.map((line) => line.split(' ')[1])).size} disks, seen alike by both hosts`)
      },
    },
    {
      name: 'power cuts of a host in the middle of changes lose nothing that was acknowledged, and the other host goes on',
      async run(lab) {
        const { server } = pair(lab)
        const result = await lab.cutAndCheck({ workload: 'forEver', check: 'judgeCut', cuts: cutsFor(2), atLeast: 4, between: [0, 4000] })
        lab.say(`${result.cuts} power cuts, ${result.acknowledged} acknowledged words`)
        const said = lines(await lab.call('rounds', { guest: server, args: ['1'] }))
        await lab.call('judgeCut', { args: said })
      },
    },
    {
      name: 'a host that is cut off for longer than its lease stops, another one writes meanwhile, and both are right afterwards',
      async run(lab) {
        const { client, server } = pair(lab)
        const outage = await outageOf(lab)
        await client.link('down')
        let meanwhile: readonly string[] = []
        try {
          // They wait for the lease of lab-a, if it held the SR.
          meanwhile = lines(await lab.call('rounds', { guest: server, args: ['3'] }))
          // Longer than any call of lab-a waits.
          await pause(25_000)
        } finally {
          await client.link('up')
        }
        const { said, kinds } = await outage()
        assert.ok(kinds.length > 0, 'no call of the host that was cut off failed')
        await lab.call('judgeCut', { args: [...said, ...meanwhile] })
        await lab.call('judgeCut', { guest: server, args: [...said, ...meanwhile] })
        lab.say(`cut off: ${kinds.join('; ')}`)
      },
    },
    {
      name: 'a power cut of the server in the middle of changes loses nothing that was acknowledged',
      async run(lab) {
        const { server } = pair(lab)
        const outage = await outageOf(lab)
        await server.powerCut()
        // So long that calls of lab-a fail: one that only waited would prove less.
        await pause(25_000)
        await server.reboot()
        await lab.call('serve', { guest: server, args: ['again'] })
        const { said, kinds } = await outage()
        await lab.call('judgeCut', { args: said })
        await lab.call('leave')
        lab.say(`server cut: ${kinds.join('; ')}`)
      },
    },
  ],
})
