/** Conformance worlds of the file driver: a model machine, and real directories behind any front end. */
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { PassThrough } from 'node:stream'
import { composeEngine } from '../../cli/compose.ts'
import type { Engine } from '../../core/caller.ts'
import file from '../../drivers/file/driver.ts'
import { vhd } from '../../formats/vhd/format.ts'
import { createFiles } from '../../host/files/files.ts'
import { connectStreams, connectUnix } from '../../rpc/client.ts'
import { createHttpClient } from '../../rpc/client-http.ts'
import { listenHttp } from '../../rpc/http.ts'
import { createRpcServer, type RpcServer } from '../../rpc/server.ts'
import { serveStdio } from '../../rpc/stdio.ts'
import { listenUnix } from '../../rpc/unix.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import type { Harness, Session, World } from './case.ts'
import { openImage } from './image-disk.ts'
import { createModelFiles } from './model/files.ts'
import { createProcess } from './model/process.ts'
import { createLogBook, modelHarness, type ModelWorldOptions } from './model/world.ts'

export const formats = { [vhd.name]: vhd }

export const modelFileWorld: ModelWorldOptions = {
  driver: file, name: 'file, on model files', deviceConfig: { location: '/srv/disks' }, directories: ['/srv/disks'], formats,
  disk: async (machine, attachment) => openImage(createModelFiles(machine.first.space, createProcess()), attachment),
  blankRemains: ['/srv/disks/.storage-manager/'],
}

export const modelFileHarness = () => modelHarness(modelFileWorld)

/** Where a front end works: a directory of its own, the state of the host, and what is to be done when the world ends. */
export interface Place {
  readonly directory: string
  readonly stateDirectory: string
  readonly atEnd: (work: () => Promise<void>) => void
}

/** How a session gets from the caller to an engine: one of this process when it asks for it. */
export type FrontEnd = (compose: () => Promise<Engine>, place: Place) => Promise<Session>

const served = (engine: Engine, log: Parameters<typeof createRpcServer>[0]['log']): RpcServer => createRpcServer({ engine, log, discover: async () => ({}) })

/** A port that is free now. */
const freePort = async (): Promise<number> => new Promise((resolve, reject) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
  })
})

const { log } = createLogBook()

export const frontEnds: Readonly<Record<string, FrontEnd>> = {
  'in process': async (compose) => {
    const engine = await compose()
    return { call: async (method, params, options) => engine.call(method, params, options), close: async () => engine.close() }
  },
  'over a unix socket': async (compose, { directory }) => {
    const engine = await compose()
    const path = join(directory, `${crypto.randomUUID().slice(0, 8)}.sock`)
    const server = served(engine, log)
    const listener = await listenUnix(server, { path })
    const client = await connectUnix(path)
    return {
      call: async (method, params, options) => client.call(method, params, options),
      async close() {
        await client.close()
        listener.stop()
        await server.drain(1000)
        await listener.end()
        await engine.close()
      },
    }
  },
  'over HTTP': async (compose) => {
    const engine = await compose()
    const port = await freePort()
    const token = crypto.randomUUID()
    const server = served(engine, log)
    const listener = await listenHttp(server, { host: '127.0.0.1', port, token, metrics: async () => ({ contentType: 'text/plain', text: '' }), openrpc: async () => '{}' })
    const client = createHttpClient({ url: `http://127.0.0.1:${port}`, token })
    return {
      call: async (method, params, options) => client.call(method, params, options),
      async close() {
        await client.close()
        listener.stop()
        await server.drain(1000)
        await listener.end()
        await engine.close()
      },
    }
  },
  'over stdio': async (compose) => {
    const engine = await compose()
    const [toServer, toClient] = [new PassThrough(), new PassThrough()]
    const server = served(engine, log)
    serveStdio(server, toServer, toClient)
    const client = connectStreams(toClient, toServer, 'stdio')
    return {
      call: async (method, params, options) => client.call(method, params, options),
      async close() {
        await client.close()
        await server.drain(1000)
        await engine.close()
      },
    }
  },
}

const tree = (root: string): readonly string[] => {
  const visit = (path: string): string[] => readdirSync(path).flatMap((name) => {
    const at = join(path, name)
    const facts = lstatSync(at)
    return facts.isDirectory() ? [`${relative(root, at)}/`, ...visit(at)] : [`${relative(root, at)} ${facts.size}`]
  })
  return existsSync(root) ? visit(root).sort() : []
}

/** Real files of this machine, in a directory that goes away afterwards. */
export const realFileHarness = (name: string, more?: FrontEnd): Harness => {
  const front = more ?? frontEnds[name]
  if (front === undefined) throw new Error(`there is no front end ${name}`)
  return {
    driver: file, name: `file, ${name}`, options: ['occupy', 'damage', 'vanish'],
    world: async (): Promise<World> => {
      const root = mkdtempSync(join(tmpdir(), 'sm-conformance-'))
      const location = join(root, 'disks')
      mkdirSync(location)
      const book = createLogBook()
      const files = createFiles()
      const ends: (() => Promise<void>)[] = []
      let fresh = 0
      return {
        deviceConfig: { location },
        async start(options = {}) {
          fresh += 1
          const state = join(root, options.memory === 'lost' ? `state-${fresh}` : 'state')
          return front(async () => composeEngine({ stateDirectory: state, log: book.log, scanner: createDirectScanner() }), { directory: root, stateDirectory: state, atEnd: (work) => void ends.push(work) })
        },
        disk: async (attachment) => openImage(files, attachment),
        inventory: async () => tree(location),
        logged: book.text,
        pass: async (ms) => new Promise((resolve) => {
          setTimeout(resolve, ms)
        }),
        trouble: {
          occupy: async () => writeFileSync(join(location, 'something.txt'), 'not an SR'),
          damage: async (_sr, vdi) => truncateSync(join(location, `${vdi}.vhd`), Math.floor(statSync(join(location, `${vdi}.vhd`)).size / 3)),
          vanish: async () => {
            renameSync(location, `${location}.away`)
            return async () => renameSync(`${location}.away`, location)
          },
        },
        async dispose() {
          await Promise.all(ends.map(async (end) => end()))
          rmSync(root, { recursive: true, force: true })
        },
      }
    },
  }
}

