/** What an ext SR does on real devices: those that hold something, that fail, die, grow, change their names or were copied. */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Engine } from '../../../core/caller.ts'
import { StorageError, type ErrorKind } from '../../../core/errors.ts'
import { cutsFor } from '../fixtures/cuts.ts'
import { faultyDisk, type FaultyDisk } from '../fixtures/faulty-disk.ts'
import { judgeStorm, storm } from '../fixtures/image-storm.ts'
import { loopDevice, type LoopDevice } from '../fixtures/loop.ts'
import { prepareLvm } from '../fixtures/lvm.ts'
import { logbook, realEngine, srMounts } from '../fixtures/real-world.ts'
import { having, labDisk, must, pidsOf, settle, sizeOf, tool, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const MiB = 2 ** 20
const deviceSize = 48 * MiB
const sr_uuid = '5d1e0b3a-7c55-4f0e-9e55-3b1f0a1b7a10'
const vdi_uuid = '98de866e-b035-4b1a-a571-613bff542b89'

let states = 0

interface Stand {
  readonly engine: Engine
  readonly state: string
  readonly log: () => string
}

/** An engine that knows nothing yet; no mount of it is left afterwards. */
const stand = async (work: (stand: Stand) => Promise<void>): Promise<void> => {
  states += 1
  const state = `/run/lab-ext-${states}`
  const book = logbook()
  const engine = await realEngine(state, book.log)
  try {
    await work({ engine, state, log: book.text })
  } finally {
    for (const { uuid } of (await engine.call('SR.list', {})).srs) await engine.call('SR.detach', { sr_uuid: uuid }).catch(() => undefined)
    await engine.close()
    const left = srMounts(state)
    for (const path of left) await tool(['umount', '-l', path])
    rmSync(state, { recursive: true, force: true })
    assert.deepEqual(left, [], 'a mount of the SR is left')
  }
}

const onLoop = (work: (given: Stand & { readonly loop: LoopDevice }) => Promise<void>): Promise<void> =>
  having(loopDevice(deviceSize), (loop) => stand((given) => work({ ...given, loop })))

const onFaultyDisk = (work: (given: Stand & { readonly disk: FaultyDisk }) => Promise<void>): Promise<void> =>
  having(faultyDisk('labext', labDisk(0)), async (disk) => {
    // What an earlier case has left would be refused.
    await must(['dd', 'if=/dev/zero', `of=${disk.path}`, 'bs=1M', `count=${(disk.sectors * 512) / MiB}`, 'oflag=direct'])
    await stand((given) => work({ ...given, disk }))
  })

const fails = async (kinds: readonly ErrorKind[], work: Promise<unknown>): Promise<StorageError> => {
  const error = await work.then(() => undefined, (thrown: unknown) => thrown)
  assert.ok(error instanceof StorageError, `it did not fail as it should: ${String(error)}`)
  assert.ok(kinds.includes(error.kind), `${error.kind}: ${error.message}`)
  assert.ok((error.facts.remedy ?? '').length > 0, `${error.message} has no remedy`)
  return error
}

const create = (engine: Engine, device: string) => engine.call('SR.create', { sr_uuid, type: 'ext', device_config: { device }, name: 'disks' })

/** Remembers the bytes of a device; what it answers throws when one is another. By native tools: node is slow in a guest. */
const untouched = async ({ path, file }: LoopDevice, length = deviceSize): Promise<() => Promise<void>> => {
  const copy = `${file}.before`
  await must(['cp', path, copy])
  return async () => {
    await must(['cmp', '-n', String(length), path, copy])
    rmSync(copy)
  }
}

const placeOn = (disk: number) => ({ type: 'ext', device_config: { device: labDisk(disk) } }) as const

const attached = async (engine: Engine, device: string): Promise<void> => {
  await create(engine, device)
  await engine.call('SR.attach', { sr_uuid })
}

interface Occupant {
  readonly what: string
  /** Answers what takes it down again. */
  readonly put: (device: string) => Promise<() => Promise<void>>
  readonly says: RegExp
}

const stays = async (): Promise<void> => undefined

const occupants: readonly Occupant[] = [
  { what: 'bytes of no known format', says: /holds data of no known format/, put: async (device) => {
    await must(['dd', `of=${device}`, 'bs=512', 'seek=9', 'conv=notrunc'], { stdin: 'somebody needs this' })
    return stays
  } },
  { what: 'bytes in its last sectors only', says: /holds data of no known format/, put: async (device) => {
    await must(['dd', `of=${device}`, 'bs=512', `seek=${await sizeOf(device) / 512 - 3}`, 'conv=notrunc'], { stdin: 'somebody needs this' })
    return stays
  } },
  { what: 'a partition table', says: /dos partition table/, put: async (device) => {
    // The two bytes and the one entry (type 83, from sector 2048) that make an MBR.
    const entry = Buffer.alloc(66)
    Buffer.from([0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0]).copy(entry, 0)
    entry.writeUInt16LE(0xaa55, 64)
    const fd = openSync(device, 'r+')
    writeFileSync(fd, Buffer.concat([Buffer.alloc(446), entry]))
    closeSync(fd)
    return stays
  } },
  { what: 'another ext4', says: /ext4/, put: async (device) => {
    await must(['mkfs.ext4', '-q', device])
    return stays
  } },
  { what: 'a physical volume of LVM', says: /LVM2_member/, put: async (device) => {
    await prepareLvm()
    await must(['pvcreate', '-y', device])
    return async () => void (await must(['pvremove', '-y', device]))
  } },
  { what: 'swap space', says: /swap/, put: async (device) => {
    await must(['mkswap', device])
    return stays
  } },
  { what: 'swap space in use', says: /is mounted on \[SWAP\]|swap/i, put: async (device) => {
    await must(['mkswap', device])
    await must(['swapon', device])
    return async () => void (await must(['swapoff', device]))
  } },
  { what: 'a mounted file system', says: /is mounted on \/mnt/, put: async (device) => {
    await must(['mkfs.ext4', '-q', device])
    await must(['mount', '-o', 'ro', device, '/mnt'])
    return async () => void (await must(['umount', '/mnt']))
  } },
  { what: 'a device of device-mapper', says: /built on .* \/dev\/mapper\/labheld/, put: async (device) => {
    await must(['dmsetup', 'create', 'labheld'], { stdin: `0 8192 linear ${device} 2048` })
    await settle()
    return async () => {
      await settle()
      await must(['dmsetup', 'remove', '--retry', 'labheld'])
    }
  } },
]

/** A PATH on which `name` is not, or is the script that is given. */
const withPath = async (name: string, script: string | undefined, work: () => Promise<void>): Promise<void> => {
  const folder = '/run/lab-path'
  mkdirSync(folder)
  const before = process.env['PATH'] ?? ''
  for (const from of before.split(':')) {
    for (const entry of readdirSync(from)) {
      if (entry !== name) tryLink(`${from}/${entry}`, `${folder}/${entry}`)
    }
  }
  if (script !== undefined) {
    writeFileSync(`${folder}/${name}`, script)
    chmodSync(`${folder}/${name}`, 0o755)
  }
  process.env['PATH'] = folder
  try {
    await work()
  } finally {
    process.env['PATH'] = before
    rmSync(folder, { recursive: true })
  }
}

/** The first folder of a PATH wins. */
const tryLink = (from: string, to: string): void => {
  try {
    symlinkSync(from, to)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

export default suite({
  name: 'ext',
  driver: 'ext',
  seconds: 150,
  // For faults; for power cuts in an SR; for power cuts in making and deleting one.
  disks: [64 * MiB, 128 * MiB, deviceSize],
  cases: [
    {
      name: 'a device that holds or carries anything is refused, naming what was found, and not a byte of it changes',
      async run() {
        for (const { what, put, says } of occupants) {
          await onLoop(async ({ engine, loop }) => {
            const takeDown = await put(loop.path)
            try {
              const compare = await untouched(loop)
              const error = await fails(['placeNotBlank'], create(engine, loop.path))
              assert.match(error.message, says, what)
              assert.ok(error.message.includes(loop.path), error.message)
              await compare()
              assert.deepEqual((await engine.call('SR.list', {})).srs, [])
            } finally {
              await takeDown()
            }
          })
        }
      },
    },
    {
      name: 'a device name that another disk has taken over is not mounted for the SR, which is found under its new name',
      run: () => onLoop(async ({ engine, loop, log }) => {
        await attached(engine, loop.path)
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })
        await engine.call('SR.detach', { sr_uuid })
        await must(['losetup', '-d', loop.path])
        await having(loopDevice(deviceSize), async (other) => {
          assert.equal(other.path, loop.path, 'the name was not used again')
          const missing = await fails(['placeMissing'], engine.call('SR.attach', { sr_uuid }))
          assert.match(missing.message, /No device of this host holds SR/)
          const moved = (await must(['losetup', '--find', '--show', loop.file])).trim()
          try {
            await engine.call('SR.attach', { sr_uuid })
            assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 1)
            assert.match(log(), /on another device than the one that was named/)
            await engine.call('SR.detach', { sr_uuid })
          } finally {
            await must(['losetup', '-d', moved])
          }
          assert.equal((await tool(['blkid', '-p', other.path])).code, 2, 'the disk that took over the name is not blank any more')
        })
      }),
    },
    {
      name: 'a disk that is dead, keeps nothing, or fails in the middle of mkfs does not become an SR, and does when it is well',
      run: () => onFaultyDisk(async ({ engine, disk }) => {
        await disk.become('dead')
        assert.match((await fails(['ioError'], create(engine, disk.path))).message, /cannot be (proven|read|examined)/)
        await disk.become('failingWrites')
        await fails(['ioError'], create(engine, disk.path))
        await disk.become('lying')
        await fails(['ioError'], create(engine, disk.path))
        // Its ends are well, so it is blank to all who look.
        await disk.badSectors(8192, disk.sectors - 8192 - 4096)
        await fails(['ioError', 'toolFailed'], create(engine, disk.path))
        assert.deepEqual((await engine.call('SR.list', {})).srs, [])
        await disk.become('good')
        await attached(engine, disk.path)
        assert.deepEqual((await engine.call('SR.scan', { sr_uuid })).vdis, [])
      }),
    },
    {
      name: 'a disk that dies while its SR is attached fails calls, not the detach, and its disks are there when it is well again',
      run: () => onFaultyDisk(async ({ engine, disk, state }) => {
        await attached(engine, disk.path)
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB, name: 'kept' })
        await engine.call('VDI.attach', { sr_uuid, vdi_uuid })
        await disk.become('dead')
        await fails(['ioError', 'readOnly'], engine.call('VDI.create', { sr_uuid, size: 4 * MiB }))
        await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
        await engine.call('SR.detach', { sr_uuid })
        assert.deepEqual(srMounts(state), [])
        await fails(['ioError', 'placeMissing', 'toolFailed'], engine.call('SR.attach', { sr_uuid }))
        await disk.become('good')
        await engine.call('SR.attach', { sr_uuid })
        const { vdis } = await engine.call('SR.scan', { sr_uuid })
        assert.deepEqual(vdis.map(({ uuid, name, problem }) => [uuid, name, problem]), [[vdi_uuid, 'kept', undefined]])
        await engine.call('VDI.create', { sr_uuid, size: 4 * MiB })
      }),
    },
    {
      name: 'without mkfs.ext4 nothing is formatted, the error names the package, and the call can be repeated',
      run: () => onLoop(async ({ engine, loop }) => {
        // The last MiB has the record of what was begun.
        const compare = await untouched(loop, deviceSize - MiB)
        await withPath('mkfs.ext4', undefined, async () => {
          const error = await fails(['toolMissing'], create(engine, loop.path))
          assert.match(`${error.message} ${error.facts.remedy ?? ''}`, /mkfs\.ext4.*e2fsprogs/s)
        })
        await compare()
        await attached(engine, loop.path)
      }),
    },
    {
      name: 'a mkfs that hangs is ended with all it started when the call is given up, and the call can be repeated',
      run: () => onLoop(async ({ engine, loop }) => {
        await withPath('mkfs.ext4', '#!/bin/sh\nsleep 100000\n', async () => {
          const given = new AbortController()
          const making = engine.call('SR.create', { sr_uuid, type: 'ext', device_config: { device: loop.path } }, { signal: given.signal }).then(() => 'made', (error: unknown) => error)
          await waitFor('mkfs to hang', () => pidsOf('sleep').length > 0)
          given.abort()
          assert.ok(await making instanceof StorageError, String(await making))
          await waitFor('mkfs and its child to be gone', () => pidsOf('sleep').length === 0 && pidsOf('mkfs.ext4').length === 0)
        })
        await attached(engine, loop.path)
      }),
    },
    {
      name: 'a copy beside its original is refused until it has an identity of its own; then both live side by side',
      run: () => onLoop(async ({ engine, loop, state }) => {
        await attached(engine, loop.path)
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB, name: 'one' })
        await engine.call('VDI.snapshot', { sr_uuid, vdi_uuid, name: 'two' })
        await engine.call('SR.detach', { sr_uuid })
        await having(loopDevice(deviceSize), async (copy) => {
          await must(['dd', `if=${loop.path}`, `of=${copy.path}`, 'bs=1M', 'conv=fsync'])
          const refused = await fails(['identityMismatch'], engine.call('SR.attach', { sr_uuid }))
          for (const { path } of [loop, copy]) assert.ok(refused.message.includes(path), refused.message)
          const { candidates } = await engine.call('SR.probe', { type: 'ext', device_config: { device: copy.path } })
          assert.equal(candidates[0]?.sr?.uuid, sr_uuid)
          const { sr_uuid: second, vdis } = await engine.call('SR.reidentify', { type: 'ext', device_config: { device: copy.path }, original_uuid: sr_uuid })
          assert.notEqual(second, sr_uuid)
          const originals = vdis.map(({ original_uuid }): string => original_uuid)
          assert.ok(originals.includes(vdi_uuid))
          await engine.call('SR.attach', { sr_uuid })
          await engine.call('SR.attach', { sr_uuid: second, type: 'ext', device_config: { device: copy.path } })
          assert.equal(srMounts(state).length, 2)
          const uuidsOf = async (sr: string) => new Set((await engine.call('SR.scan', { sr_uuid: sr })).vdis.map(({ uuid }) => uuid))
          const [first, other] = [await uuidsOf(sr_uuid), await uuidsOf(second)]
          assert.equal(first.size, other.size)
          assert.deepEqual([...first].filter((uuid) => other.has(uuid)), [])
          for (const sr of [sr_uuid, second]) {
            assert.deepEqual((await engine.call('SR.verify', { sr_uuid: sr })).findings.filter(({ weight }) => weight !== 'note'), [])
            await engine.call('SR.detach', { sr_uuid: sr })
          }
        })
      }),
    },
    {
      name: 'an SR uses what its device has gained, from the next attach on',
      run: () => onLoop(async ({ engine, loop }) => {
        await attached(engine, loop.path)
        await engine.call('VDI.create', { sr_uuid, vdi_uuid, size: 4 * MiB })
        const before = (await engine.call('SR.stat', { sr_uuid })).physical_size
        await engine.call('SR.detach', { sr_uuid })
        await loop.grow(deviceSize * 2)
        await engine.call('SR.attach', { sr_uuid })
        const after = (await engine.call('SR.stat', { sr_uuid })).physical_size
        assert.ok(after > before + deviceSize / 2, `${before} has become ${after}`)
        assert.equal((await engine.call('SR.scan', { sr_uuid })).vdis.length, 1)
      }),
    },
  ],
  entries: {
    async prepare() {
      await stand(async ({ engine }) => void (await create(engine, labDisk(1))))
    },
    /** Changes on one SR, and now and then the whole life of another. */
    async work(context) {
      const say = (line: string): void => context.ack(line)
      await stand(async ({ engine }) => {
        await engine.call('SR.attach', { sr_uuid, ...placeOn(1) })
        const lifeOfAnother = async (): Promise<void> => {
          const second = crypto.randomUUID()
          say(`sr-making ${second}`)
          await engine.call('SR.create', { sr_uuid: second, ...placeOn(2) })
          say(`sr-made ${second}`)
          say(`sr-removing ${second}`)
          await engine.call('SR.delete', { sr_uuid: second, ...placeOn(2) })
          say(`sr-removed ${second}`)
        }
        const changes = storm({ engine, sr_uuid, say, goOn: () => true })
        for (;;) await Promise.race([lifeOfAnother(), changes])
      })
    },
    check: async ({ args }) => stand(async ({ engine }) => {
      await engine.call('SR.attach', { sr_uuid, ...placeOn(1) })
      await judgeStorm(engine, sr_uuid, args)
      const [word = '', second] = args.findLast((line) => line.startsWith('sr-'))?.split(' ') ?? []
      if (second !== undefined) {
        // Whatever the cut has left is finished by a repeat: the same create, or the delete.
        if (word === 'sr-made' || word === 'sr-making') await engine.call('SR.create', { sr_uuid: second, ...placeOn(2) }).catch((error: unknown) => {
          if (!(error instanceof StorageError && error.kind === 'alreadyExists')) throw error
        })
        if (word === 'sr-made' || word === 'sr-making') {
          await engine.call('SR.attach', { sr_uuid: second, ...placeOn(2) })
          assert.deepEqual((await engine.call('SR.scan', { sr_uuid: second })).vdis, [])
          await engine.call('SR.detach', { sr_uuid: second })
        }
        await engine.call('SR.delete', { sr_uuid: second, ...placeOn(2) })
        const { candidates } = await engine.call('SR.probe', placeOn(2))
        assert.equal(candidates[0]?.found, 'blank', JSON.stringify(candidates))
      }
    }),
  },
  host: [
    {
      name: 'power cuts in the middle of creates, resizes, snapshots, deletes, and of making and deleting an SR lose nothing that was acknowledged',
      async run(lab) {
        await lab.call('prepare')
        const { cuts, acknowledged } = await lab.cutAndCheck({ workload: 'work', check: 'check', cuts: cutsFor(3), between: [0, 4000], atLeast: 3 })
        lab.say(`${cuts} power cuts, ${acknowledged} acknowledged words`)
      },
    },
  ],
})
