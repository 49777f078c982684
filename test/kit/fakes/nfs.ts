/** An NFS server with exports, as model hosts see it: mounts of shared volumes, showmount, and a socket that answers the NULL call. */
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { Volume } from '../model/volume.ts'
import { deviceOfIdentity } from '../../../host/files/device-numbers.ts'
import { complains, says, unknownUse } from './answer.ts'
import type { Backend } from './mount.ts'

export interface NfsModel extends Backend {
  /** Mounts fail as if nobody listened; what is mounted stays. */
  readonly state: { up: boolean }
  readonly exports: ReadonlyMap<string, Volume>
}

const knownOptions = /^(ro|rw|vers=(3|4|4\.[012])|proto=tcp6?|port=\d+|hard|soft|timeo=\d+|retrans=\d+|retry=0|actimeo=0|nosharecache|nosuid|nodev|noexec)$/

export const createNfsModel = (server: string, exports: ReadonlyMap<string, Volume>, state: { up: boolean } = { up: true }): NfsModel => ({
  state, exports,
  tools: ['showmount'],
  run({ argv }) {
    if (argv.slice(1, -1).join(' ') !== '--no-headers --exports --') return unknownUse(argv)
    if (!state.up) return complains(`clnt_create: RPC: Unable to receive`, 1)
    return says([...exports.keys()].map((path) => `${path} *\n`).join(''))
  },
  offer({ fsType, source, options }) {
    const odd = options.find((option) => !knownOptions.test(option))
    if (odd !== undefined) throw new Error(`the model does not know the mount option ${odd}`)
    const version = options.find((option) => option.startsWith('vers='))
    if ((fsType === 'nfs') !== (version === 'vers=3')) throw new Error(`${fsType} with ${version ?? 'no version'}`)
    if (!state.up) return complains(`mount.${fsType}: Connection refused for ${source}`, 32)
    const volume = source.startsWith(`${server}:`) ? exports.get(source.slice(server.length + 1)) : undefined
    if (volume === undefined) return complains(`mount.nfs4: mounting ${source} failed, reason given by server: No such file or directory`, 32)
    return { volume, device: deviceOfIdentity(`${volume.device}:1`), options }
  },
  inventory: () => [],
  copy: (volume) => createNfsModel(server, new Map([...exports].map(([path, original]) => [path, volume(original)])), { ...state }),
})

/** Answers every call as an NFS server answers NULL: accepted, success. */
export const listenAsNfs = async (): Promise<{ readonly port: number; close(): void }> => {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (call) => {
      const reply = Buffer.alloc(28)
      reply.writeUInt32BE(0x80000018, 0)
      call.copy(reply, 4, 4, 8)
      reply.writeUInt32BE(1, 8)
      socket.write(reply)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  server.unref()
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
