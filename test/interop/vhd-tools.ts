/** The foreign programs that read and write VHDs, for tests against them. A missing one is a failure, never a skip. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { createFiles } from '../../host/files/files.ts'
import type { OpenFile } from '../../core/ports.ts'

const packages = { '7zz': '7zip', 'vhdiinfo': 'libvhdi-utils', 'qemu-img': 'qemu-utils', 'qemu-io': 'qemu-utils' } as const
export type Tool = keyof typeof packages

/** Standard output of a run that ended well. */
export const run = (tool: Tool, ...args: readonly string[]): Buffer => {
  try {
    return execFileSync(tool, args, { maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { readonly stderr?: Buffer; readonly stdout?: Buffer }
    if (failure.code === 'ENOENT') throw new Error(`${tool} is not installed: apt-get install --no-install-recommends ${packages[tool]}`, { cause: error })
    throw new Error(`${tool} ${args.join(' ')} failed: ${failure.stderr?.toString() ?? ''}${failure.stdout?.toString().slice(-2000) ?? ''}`, { cause: error })
  }
}

/** A private directory for one test file. */
export const useDirectory = (): ((name: string) => string) => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'vhd-interop-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return (name) => join(directory, name)
}

const files = createFiles()

export const withFile = async <T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> => {
  const file = (await files.stat(path)) === undefined ? await files.create(path) : await files.open(path, 'write')
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

/** The disk inside as qemu sees it, raw, when told to believe the current size. */
export const qemuContent = (path: string, out: string): void => {
  run('qemu-img', 'convert', '--image-opts', '-O', 'raw', `driver=vpc,force_size_calc=current_size,file.driver=file,file.filename=${path}`, out)
}
