/**
 * `npm start`: the daemon on an SR of its own, out of a fresh checkout and without root. Everything is under var/ of the
 * checkout, or in the state directory that STORAGE_MANAGER_STATE names; Ctrl-C stops it, the SR stays for the next start.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateDirectory } from '../cli/state-directory.ts'
import { version } from '../cli/version.ts'
import { StorageError, toStorageError } from '../core/errors.ts'
import { connectUnix, type Client } from '../rpc/client.ts'
import { ensureBuilt } from './build.ts'
import { root } from './outputs.ts'

const state = stateDirectory(process.env['STORAGE_MANAGER_STATE'] ?? join(root, 'var', 'state'))
const socket = join(state, 'run', 'smd.sock')
const location = process.env['STORAGE_MANAGER_STATE'] === undefined ? join(root, 'var', 'disks') : join(state, 'disks')

interface Launcher {
  load(chunk: string): { readonly runDaemon: (argv: readonly string[]) => Promise<number> }
}

/** Nothing when nobody listens. */
const connect = async (): Promise<Client | undefined> => {
  try {
    return await connectUnix(socket)
  } catch (error) {
    if (error instanceof StorageError && error.kind === 'unreachable') return undefined
    throw error
  }
}

/** The client as soon as the daemon answers; nothing when it has ended before. */
const connected = async (ended: () => boolean): Promise<Client | undefined> => {
  while (!ended()) {
    const client = await connect()
    if (client !== undefined) return client
    await sleep(20)
  }
  return undefined
}

/** Else one would talk to the other daemon and take it for one's own. */
const refuseSecond = async (): Promise<void> => {
  const other = await connect()
  if (other === undefined) return
  const { pid } = await other.call('Host.status', {})
  await other.close()
  console.error(`npm start: it runs already on ${state}, as process ${pid}\n  remedy: use that one, stop it with kill ${pid}, or name another directory in STORAGE_MANAGER_STATE`)
  process.exit(1)
}

/** The SR in `location`: known, or found there, or made. */
const embeddedSr = async (client: Client): Promise<string> => {
  const place = { type: 'file', device_config: { location } }
  const { srs } = await client.call('SR.list', {})
  const known = srs.find((sr) => sr.type === 'file' && sr.device_config['location'] === location)
  if (known !== undefined) return known.uuid
  const { candidates } = await client.call('SR.probe', place)
  const there = candidates.some(({ found }) => found === 'sr' || found === 'adoptable')
  return (await client.call(there ? 'SR.introduce' : 'SR.create', { ...place, name: 'Embedded disks' })).sr_uuid
}

const quote = (text: string): string => (/^[\w/.:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

const welcome = (sr: string): string => `
Storage manager ${version} is running; Ctrl-C stops it.

  socket  ${socket}
  SR      ${sr} (VHD files in ${location})

Paste into another terminal:

  export PATH=${quote(join(root, 'bin'))}:"$PATH" STORAGE_MANAGER_STATE=${quote(state)}
  smctl vdi create ${sr} 1G --name "first disk"
  smctl sr scan ${sr}

`

await ensureBuilt()
await refuseSecond()
const launcher = createRequire(import.meta.url)('../bin/launch.js') as Launcher
let ended = false
const daemon = launcher.load('smd.js').runDaemon(['--state-directory', state, '--log-level', 'warn']).finally(() => {
  ended = true
})
try {
  const client = await connected(() => ended)
  if (client !== undefined) {
    const sr = await embeddedSr(client)
    await client.call('SR.attach', { sr_uuid: sr })
    await client.close()
    process.stdout.write(welcome(sr))
  }
} catch (thrown) {
  const error = toStorageError(thrown, 'cli')
  console.error(`npm start: ${error.message}${error.facts.remedy === undefined ? '' : `\n  remedy: ${error.facts.remedy}`}`)
  process.kill(process.pid, 'SIGTERM')
  await daemon
  process.exitCode = 1
}
const status = await daemon
process.exitCode ??= status
