/** sim-arrays: a pair of simulated arrays to rehearse with, and what one does to them that an array's own API does not offer. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { errnoNumbers, errorTable, StorageError, toStorageError } from '../core/errors.ts'
import { askSimulator, serveControl, type ControlRequest } from '../drivers/array-replication/hpe-3par/simulator/control.ts'
import { profiles, type ProfileName } from '../drivers/array-replication/hpe-3par/simulator/profiles.ts'
import { startArrays, type RunningArrays } from '../drivers/array-replication/hpe-3par/simulator/start.ts'

const usage = `sim-arrays: replicating arrays without an array

  sim-arrays [start] [--arrays 2] [--port 0] [--address 127.0.0.1] [--profile 3par-3.3.1|primera-4.2|os-10.5] [--sync-ms 2000] [--keep-alive]
                     [--iscsi-port 3260]    volumes as LUNs, on 127.0.1.1 and .2 for the first array, 127.0.2.1 and .2 for the second
  sim-arrays io read --array NAME --host HOST --wwn WWN --offset BYTES --length BYTES    to standard output
  sim-arrays io write --array NAME --host HOST --wwn WWN --offset BYTES                  from standard input
  sim-arrays link cut|restore|latency [--ms N]
  sim-arrays power on|off --array NAME
  sim-arrays latency --array NAME --ms N
  sim-arrays fault --array NAME --match 'POST /volumes' --effect error|lost|drop|hang|hangAfter|expire|unavailable|slow
                   [--nth 1] [--times 1] [--status N] [--code N] [--delay N]
  sim-arrays fault clear --array NAME
  sim-arrays requests --array NAME
  sim-arrays files --array NAME

  --state  where the arrays keep their state (else var/arrays)
`

const text = { type: 'string' } as const
const parse = (argv: readonly string[]) => {
  try {
    return parseArgs({
      args: [...argv], allowPositionals: true,
      options: {
        state: text, arrays: text, port: text, address: text, profile: text, array: text, host: text, wwn: text, offset: text, length: text, ms: text, match: text, effect: text, nth: text,
        times: text, status: text, code: text, delay: text, 'sync-ms': text, 'iscsi-port': text, 'keep-alive': { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new StorageError('invalidArgument', (error as Error).message, { layer: 'cli', remedy: 'sim-arrays --help shows what there is' })
  }
}
type Flags = ReturnType<typeof parse>['values']
type TextFlag = Exclude<keyof Flags, 'keep-alive' | 'help'>

const need = (flags: Flags, name: TextFlag): string => {
  const value = flags[name]
  if (value === undefined) throw new StorageError('invalidArgument', `${name}: is missing`, { field: name, layer: 'cli', remedy: `Give --${name}; sim-arrays --help shows what there is` })
  return value
}

const numberOf = (flags: Flags, name: TextFlag, otherwise?: number): number => {
  const value = flags[name]
  if (value === undefined && otherwise !== undefined) return otherwise
  const given = need(flags, name)
  if (!/^\d{1,15}$/.test(given)) throw new StorageError('invalidArgument', `${name}: must be a whole number, found ${JSON.stringify(given.slice(0, 64))}`, { field: name, layer: 'cli', remedy: `For instance --${name} 2` })
  return Number(given)
}

const profileOf = (flags: Flags): ProfileName => {
  const name = flags.profile ?? '3par-3.3.1'
  const found = (Object.keys(profiles) as readonly ProfileName[]).find((known) => known === name)
  if (found === undefined) throw new StorageError('invalidArgument', `profile: there is no profile ${JSON.stringify(name)}`, { field: 'profile', layer: 'cli', remedy: `One of: ${Object.keys(profiles).join(', ')}` })
  return found
}

const welcome = ({ arrays, credentialsFile }: RunningArrays, stateDirectory: string): string => {
  const [first] = arrays
  const url = first?.url ?? ''
  return `${arrays.map(({ name, id, url: at, user, certificate, portals }) => `${name}  system id ${id}  ${at}  user ${user}\n  certificate SHA-256 ${certificate.fingerprint}\n${portals.length === 0 ? '' : `  iSCSI ${portals.join(', ')}\n`}`).join('')}
Passwords and certificates: ${credentialsFile}; Ctrl-C stops the arrays, their state stays in ${stateDirectory}.

Paste into another terminal:

  node -p "require('${credentialsFile}').arrays[0].pem" > ${join(stateDirectory, 'ca.pem')}
  KEY=$(node -p "const a=require('${credentialsFile}').arrays[0];JSON.stringify({user:a.user,password:a.password})" | curl -s --cacert ${join(stateDirectory, 'ca.pem')} -H 'Content-Type: application/json' -d @- ${url}/credentials | node -p "JSON.parse(require('fs').readFileSync(0)).key")
  curl -s --cacert ${join(stateDirectory, 'ca.pem')} -H "X-HP3PAR-WSAPI-SessionKey: $KEY" ${url}/system

`
}

const toldToStop = async (): Promise<void> =>
  new Promise((stop) => {
    process.on('SIGTERM', () => stop())
    process.on('SIGINT', () => stop())
  })

const start = async (flags: Flags, stateDirectory: string): Promise<void> => {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  const profile = profileOf(flags)
  const running = await startArrays({
    arrays: Array.from({ length: numberOf(flags, 'arrays', 2) }, () => ({ profile })), stateDirectory, port: numberOf(flags, 'port', 0), address: flags.address ?? '127.0.0.1',
    durations: { syncMs: numberOf(flags, 'sync-ms', 2000) }, keepAlive: flags['keep-alive'] === true,
    ...(flags['iscsi-port'] === undefined ? {} : { iscsiPort: numberOf(flags, 'iscsi-port') }),
  })
  const control = await serveControl(running, stateDirectory)
  process.stdout.write(welcome(running, stateDirectory))
  await toldToStop()
  await control.close()
  await running.close()
}

const standardInput = async (): Promise<Buffer> => {
  const parts: Buffer[] = []
  for await (const part of process.stdin as AsyncIterable<Buffer>) parts.push(part)
  return Buffer.concat(parts)
}

const unknown = (words: readonly string[]): StorageError =>
  new StorageError('invalidArgument', `There is no command ${JSON.stringify(words.join(' '))}`, { layer: 'cli', remedy: 'sim-arrays --help shows what there is' })

const optionalNumbers = (flags: Flags): Partial<Record<'nth' | 'times' | 'status' | 'code' | 'delayMs', number>> =>
  Object.fromEntries(([['nth', 'nth'], ['times', 'times'], ['status', 'status'], ['code', 'code'], ['delay', 'delayMs']] as const)
    .flatMap(([flag, name]) => (flags[flag] === undefined ? [] : [[name, numberOf(flags, flag)]])))

type Command = (flags: Flags) => ControlRequest | Promise<ControlRequest>
const seen = (flags: Flags) => ({ array: need(flags, 'array'), host: need(flags, 'host'), wwn: need(flags, 'wwn'), offset: numberOf(flags, 'offset') })

const commands: Readonly<Record<string, Command>> = {
  'io read': (flags) => ({ do: 'read', ...seen(flags), length: numberOf(flags, 'length') }),
  'io write': async (flags) => ({ do: 'write', ...seen(flags), data: (await standardInput()).toString('base64') }),
  'link cut': () => ({ do: 'link', state: 'cut' }),
  'link restore': () => ({ do: 'link', state: 'restored' }),
  'link latency': (flags) => ({ do: 'link', latencyMs: numberOf(flags, 'ms') }),
  'power on': (flags) => ({ do: 'power', array: need(flags, 'array'), on: true }),
  'power off': (flags) => ({ do: 'power', array: need(flags, 'array'), on: false }),
  latency: (flags) => ({ do: 'latency', array: need(flags, 'array'), milliseconds: numberOf(flags, 'ms') }),
  // The simulator checks the effect and says which there are.
  fault: (flags) => ({ do: 'fault', array: need(flags, 'array'), match: need(flags, 'match'), effect: need(flags, 'effect') as 'error', ...optionalNumbers(flags) }),
  'fault clear': (flags) => ({ do: 'clearFaults', array: need(flags, 'array') }),
  requests: (flags) => ({ do: 'requests', array: need(flags, 'array') }),
  files: (flags) => ({ do: 'files', array: need(flags, 'array') }),
}

const show = (request: ControlRequest, result: unknown): void => {
  if (request.do === 'read') process.stdout.write(Buffer.from((result as { readonly data: string }).data, 'base64'))
  else if (request.do === 'requests' || request.do === 'files') process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
}

/** The exit status; that of a failure is the errno of the table. */
export const main = async (argv: readonly string[]): Promise<number> => {
  try {
    const { values: flags, positionals } = parse(argv)
    if (flags.help === true) {
      process.stdout.write(usage)
      return 0
    }
    const stateDirectory = resolve(flags.state ?? join('var', 'arrays'))
    if (positionals.length === 0 || (positionals.length === 1 && positionals[0] === 'start')) {
      await start(flags, stateDirectory)
      return 0
    }
    const command = commands[positionals.join(' ')]
    if (command === undefined) throw unknown(positionals)
    const request = await command(flags)
    show(request, await askSimulator(stateDirectory, request))
    return 0
  } catch (thrown) {
    const error = toStorageError(thrown, 'cli')
    process.stderr.write(`sim-arrays: ${error.message}\n${error.facts.remedy === undefined ? '' : `${error.facts.remedy}\n`}`)
    return errnoNumbers[errorTable[error.kind].errno]
  }
}
