/** The model file system answers as the real one does: one contract, both sides. And what only the model can do: lose power. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { StorageError, toStorageError } from '../../../core/errors.ts'
import type { Files } from '../../../core/ports.ts'
import { createFiles } from '../../../host/files/files.ts'
import { createModelFiles, type Namespace } from './files.ts'
import { createProcess, type ProcessWatch } from './process.ts'
import { addInode, assign, copyVolume, createVolume, type Fate, type Volume } from './volume.ts'
import { placeDirectory } from './machine.ts'

const temporary: string[] = []
afterAll(() => {
  for (const path of temporary) rmSync(path, { recursive: true, force: true })
})

const namespaceOf = (root: Volume): Namespace => ({ mounts: new Map([['/', root]]), open: new Map(), now: () => 1000 })

const model = (watch?: ProcessWatch, capacity?: number) => {
  const root = createVolume(capacity)
  placeDirectory(root, '/srv')
  const space = namespaceOf(root)
  return { root, space, files: createModelFiles(space, createProcess(watch)), at: '/srv' }
}

const sides: readonly { readonly side: string; readonly make: () => { readonly files: Files; readonly at: string; readonly symlink: (name: string, to: string) => void } }[] = [
  {
    side: 'the model',
    make: () => {
      const { files, root, at } = model()
      const symlink = (name: string): void => {
        const directory = root.root.entries.get('srv')
        if (directory !== undefined) assign(root, [{ directory, name, to: addInode(root, 'symlink', 0) }], 0)
      }
      return { files, at, symlink }
    },
  },
  {
    side: 'this host',
    make: () => {
      const at = mkdtempSync(join(tmpdir(), 'kit-files-'))
      temporary.push(at)
      return { files: createFiles(), at, symlink: (name, to) => symlinkSync(to, join(at, name)) }
    },
  },
]

/** `ok`, or the system code, or the kind of the error. */
const outcome = async (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'ok', (error: unknown) => (error instanceof StorageError ? error.kind : ((error as NodeJS.ErrnoException).code ?? String(error))))

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const write = async (files: Files, path: string, content: string): Promise<void> => {
  const file = await files.create(path)
  await file.write(0, Buffer.from(content))
  await file.close()
}

describe.each(sides)('files of $side', ({ make }) => {
  it('tells absent from empty', async () => {
    const { files, at } = make()
    expect(await files.list(at)).toEqual([])
    expect(await files.list(`${at}/none`)).toBeUndefined()
    expect(await files.stat(`${at}/none`)).toBeUndefined()
    expect(await files.readText(`${at}/none`, 10)).toBeUndefined()
    expect(await files.unlink(`${at}/none`)).toBe(false)
    expect(await files.rmdir(`${at}/none`)).toBe(false)
  })

  it('reads what was written, holes as zeros, and shorter at the end', async () => {
    const { files, at } = make()
    const file = await files.create(`${at}/x`)
    await file.write(5, Buffer.from('five'))
    await file.truncate(12)
    expect(text(await file.read(0, 100))).toBe('\0\0\0\0\0five\0\0\0')
    await file.truncate(6)
    await file.truncate(9)
    expect(text(await file.read(4, 5))).toBe('\0f\0\0\0')
    expect(await file.length()).toBe(9)
    expect((await file.read(9, 10)).length).toBe(0)
    expect((await file.read(20, 10)).length).toBe(0)
    await file.sync()
    await file.close()
    expect(await outcome(file.write(0, Buffer.from('x')))).toBe('EBADF')
    expect((await files.stat(`${at}/x`))?.size).toBe(9)
  })

  it('keeps what is open while its name goes', async () => {
    const { files, at } = make()
    await write(files, `${at}/x`, 'content')
    const file = await files.open(`${at}/x`, 'read')
    expect(await files.unlink(`${at}/x`)).toBe(true)
    expect(text(await file.read(0, 7))).toBe('content')
    expect(await outcome(file.write(0, Buffer.from('y')))).toBe('EBADF')
    await file.close()
  })

  it('takes a name once, and replaces by rename', async () => {
    const { files, at } = make()
    await write(files, `${at}/a`, 'a')
    await write(files, `${at}/b`, 'b')
    expect(toStorageError(await files.create(`${at}/a`).catch((error: unknown) => error), 'test').kind).toBe('alreadyExists')
    expect(await outcome(files.link(`${at}/a`, `${at}/b`))).toBe('EEXIST')
    await files.link(`${at}/a`, `${at}/c`)
    expect((await files.stat(`${at}/c`))?.identity).toBe((await files.stat(`${at}/a`))?.identity)
    await files.rename(`${at}/a`, `${at}/b`)
    expect(await files.readText(`${at}/b`, 10)).toBe('a')
    expect([...((await files.list(at)) ?? [])].sort()).toEqual(['b', 'c'])
    // POSIX: two names of one file, nothing happens.
    await files.rename(`${at}/b`, `${at}/c`)
    expect([...((await files.list(at)) ?? [])].sort()).toEqual(['b', 'c'])
  })

  it('refuses in the words of the kernel', async () => {
    const { files, at } = make()
    await files.mkdir(`${at}/d`)
    await write(files, `${at}/f`, 'text')
    await write(files, `${at}/d/inside`, '')
    expect(await files.mkdir(`${at}/d`)).toBe(false)
    expect({
      rmdirFull: await outcome(files.rmdir(`${at}/d`)),
      rmdirFile: await outcome(files.rmdir(`${at}/f`)),
      unlinkDirectory: await outcome(files.unlink(`${at}/d`)),
      listFile: await outcome(files.list(`${at}/f`)),
      statBelowFile: await outcome(files.stat(`${at}/f/x`)),
      createInNothing: await outcome(files.create(`${at}/no/x`)),
      openNothing: await outcome(files.open(`${at}/no`, 'read')),
      renameNothing: await outcome(files.rename(`${at}/no`, `${at}/x`)),
      renameOverDirectory: await outcome(files.rename(`${at}/f`, `${at}/d`)),
      linkDirectory: await outcome(files.link(`${at}/d`, `${at}/e`)),
      readDirectory: await outcome(files.readText(`${at}/d`, 10)),
      readTooLong: await outcome(files.readText(`${at}/f`, 3)),
      syncNothing: await outcome(files.syncDirectory(`${at}/no`)),
      longName: await outcome(files.create(`${at}/${'x'.repeat(256)}`)),
    }).toEqual({
      rmdirFull: 'ENOTEMPTY', rmdirFile: 'ENOTDIR', unlinkDirectory: 'EISDIR', listFile: 'ENOTDIR', statBelowFile: 'ok', createInNothing: 'ENOENT',
      openNothing: 'ENOENT', renameNothing: 'ENOENT', renameOverDirectory: 'EISDIR', linkDirectory: 'EPERM', readDirectory: 'EISDIR', readTooLong: 'limitExceeded',
      syncNothing: 'ENOENT', longName: 'ENAMETOOLONG',
    })
  })

  it('follows no link in the last component', async () => {
    const { files, at, symlink } = make()
    await write(files, `${at}/real`, 'x')
    symlink('link', 'real')
    expect((await files.stat(`${at}/link`))?.kind).toBe('symlink')
    expect(await outcome(files.open(`${at}/link`, 'read'))).toBe('identityMismatch')
    expect(await outcome(files.readText(`${at}/link`, 10))).toBe('identityMismatch')
  })

  it('tells another version after every change', async () => {
    const { files, at } = make()
    await write(files, `${at}/x`, 'one')
    const versions = new Set([(await files.stat(`${at}/x`))?.version])
    const file = await files.open(`${at}/x`, 'write')
    for (const length of [2, 3, 4]) {
      // Times of a real file system have the resolution of a timer tick.
      await new Promise((resolve) => setTimeout(resolve, 12))
      await file.truncate(length)
      versions.add((await files.stat(`${at}/x`))?.version)
    }
    await file.close()
    expect(versions.size).toBe(4)
  })
})

const kill: Fate = { name: () => false, sector: () => false }
const after = (root: Volume, fate: Fate): Files => createModelFiles(namespaceOf(copyVolume(root, fate)), createProcess())

describe('a power cut in the model', () => {
  it('keeps what was synced with its name, and nothing else when nothing else survives', async () => {
    const { root, files } = model()
    const file = await files.create('/srv/x')
    await file.write(0, Buffer.from('old'))
    await file.sync()
    expect(await after(root, kill).readText('/srv/x', 10)).toBeUndefined()
    await files.syncDirectory('/srv')
    expect(await after(root, kill).readText('/srv/x', 10)).toBe('old')
    await file.write(0, Buffer.from('new'))
    expect(await after(root, kill).readText('/srv/x', 10)).toBe('old')
    expect(await after(root, { name: () => false, sector: () => true }).readText('/srv/x', 10)).toBe('new')
    expect(await files.readText('/srv/x', 10)).toBe('new')
  })

  it('may keep a name whose content is lost: the reason to sync before a rename', async () => {
    const { root, files } = model()
    await write(files, '/srv/x.tmp', 'content')
    await files.rename('/srv/x.tmp', '/srv/x')
    const cut = after(root, { name: () => true, sector: () => false })
    expect(await cut.readText('/srv/x', 10)).toBe('')
    expect(await cut.stat('/srv/x.tmp')).toBeUndefined()
  })

  it('moves a name wholly or not at all', async () => {
    const { root, files } = model()
    await write(files, '/srv/a', 'a')
    await files.syncDirectory('/srv')
    await files.rename('/srv/a', '/srv/b')
    for (const survives of [true, false]) {
      const names = await after(root, { name: () => survives, sector: () => true }).list('/srv')
      expect(names).toEqual([survives ? 'b' : 'a'])
    }
  })

  it('loses any sector of a long write', async () => {
    const { root, files } = model()
    const file = await files.create('/srv/x')
    await file.truncate(2048)
    await file.sync()
    await files.syncDirectory('/srv')
    await file.write(100, Buffer.alloc(1500, 'n'))
    const cut = await after(root, { name: () => true, sector: (index) => index === 1 }).open('/srv/x', 'read')
    const bytes = await cut.read(0, 2048)
    expect([bytes[511], bytes[512], bytes[1023], bytes[1024]]).toEqual([0, 110, 110, 0])
  })

  it('never loses a later change of a name and keeps an earlier one away', async () => {
    const { root, files } = model()
    await write(files, '/srv/x', 'first')
    await files.unlink('/srv/x')
    // The creation is lost: then the removal has nothing to remove, and is lost with it.
    expect(await after(root, { name: (index) => index === 1, sector: () => true }).list('/srv')).toEqual([])
  })

  it('leaves the original as it is, whatever happens to the copy', async () => {
    const { root, files } = model()
    await write(files, '/srv/x', 'one')
    const copy = createModelFiles(namespaceOf(copyVolume(root)), createProcess())
    await copy.unlink('/srv/x')
    await write(copy, '/srv/y', 'two')
    expect(await files.list('/srv')).toEqual(['x'])
    expect(await copy.list('/srv')).toEqual(['y'])
  })

  it('keeps everything that was synced, after any sequence of changes and with any fate', async () => {
    const step = fc.record({ call: fc.constantFrom('write', 'sync', 'truncate'), at: fc.nat(4000), length: fc.integer({ min: 1, max: 3000 }) })
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.array(fc.boolean(), { minLength: 8 }), async (steps, fates) => {
      const { root, files } = model()
      const file = await files.create('/srv/x')
      await files.syncDirectory('/srv')
      let durable = ''
      for (const [index, { call, at, length }] of steps.entries()) {
        if (call === 'write') await file.write(at, Buffer.alloc(length, 65 + index))
        else if (call === 'truncate') await file.truncate(length)
        else {
          await file.sync()
          durable = text(await file.read(0, 10_000))
        }
      }
      await file.sync()
      durable = text(await file.read(0, 10_000))
      const pick = (index: number): boolean => fates[index % fates.length] === true
      expect(await after(root, { name: pick, sector: pick }).readText('/srv/x', 10_000)).toBe(durable)
    }), { numRuns: 50 })
  })
})

describe('trouble in the model', () => {
  it('runs out of space, and has it again when something is removed', async () => {
    const { files } = model({}, 10 * 4096)
    await write(files, '/srv/a', 'x'.repeat(6 * 4096))
    const b = await files.create('/srv/b')
    expect(await outcome(b.write(0, new Uint8Array(5 * 4096)))).toBe('ENOSPC')
    await files.unlink('/srv/a')
    expect(await outcome(b.write(0, new Uint8Array(5 * 4096)))).toBe('ok')
    expect(await files.space('/srv')).toEqual({ total: 10 * 4096, free: 5 * 4096 })
  })

  it('fails the step that a fault names, done or not', async () => {
    const { files } = model({ faults: [
      { when: (step) => step.call === 'mkdir', fails: 'EIO', times: 1 },
      { when: (step) => step.call === 'rmdir', fails: 'ETIMEDOUT', done: true, times: 1 },
    ] })
    expect(await outcome(files.mkdir('/srv/d'))).toBe('EIO')
    expect(await files.mkdir('/srv/d')).toBe(true)
    expect(await outcome(files.rmdir('/srv/d'))).toBe('ETIMEDOUT')
    expect(await files.rmdir('/srv/d')).toBe(false)
  })

  it('answers a dead process nothing, ever', async () => {
    const { root, space } = model()
    const process = createProcess({ onStep: (step, _number, moment) => {
      if (step.call === 'unlink' && moment === 'before') process.kill()
    } })
    const files = createModelFiles(space, process)
    await write(files, '/srv/x', 'x')
    const silence = new Promise((resolve) => setTimeout(() => resolve('silence'), 20))
    expect(await Promise.race([files.unlink('/srv/x'), silence])).toBe('silence')
    expect(await Promise.race([files.list('/srv'), silence])).toBe('silence')
    expect(await createModelFiles(namespaceOf(root), createProcess()).list('/srv')).toEqual(['x'])
  })
})
