/** Debian packages that suites need: installed where that is possible, named where it is not. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const isThere = (tool: string): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

export const missingPackages = (tools: Readonly<Record<string, string>>): readonly string[] =>
  [...new Set(Object.entries(tools).filter(([tool]) => !isThere(tool)).map(([, name]) => name))].sort()

const isDebian = (): boolean => {
  try {
    return /^ID(_LIKE)?=.*\bdebian\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

const policyFile = '/usr/sbin/policy-rc.d'

const apt = async (...args: readonly string[]): Promise<void> => {
  const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=600', ...args], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`apt-get ${args[0] ?? ''} failed with status ${code ?? 'unknown'}`)
}

/** Installs what is missing as root on Debian; answers why that could not be done, or nothing when all is there. */
export const installPackages = async (packages: readonly string[]): Promise<string | undefined> => {
  if (packages.length === 0) return undefined
  const command = `apt-get install --no-install-recommends ${packages.join(' ')}`
  if (!isDebian()) return `needs what Debian calls ${packages.join(', ')}`
  if (process.getuid?.() !== 0) return `needs, as root: ${command}`
  // Services of these packages are not wanted on this machine. A policy that is there is the owner's and stays.
  const ownPolicy = !existsSync(policyFile)
  if (ownPolicy) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    console.log(`Installing ${packages.join(', ')}`)
    await apt('-q', 'update')
    await apt('-q', 'install', '-y', '--no-install-recommends', ...packages)
    return undefined
  } catch (error) {
    return `could not install (${(error as Error).message}): ${command}`
  } finally {
    if (ownPolicy) rmSync(policyFile, { force: true })
  }
}
