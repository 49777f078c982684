/** What an NFS SR is told about its place, and what follows from it. */
import * as z from 'zod'
import { isServer, isServerPath } from '../../host/nfs/address.ts'
import { nfsVersions } from '../../host/nfs/build.ts'

/** Digits only: a dconf is a map of strings. */
const number = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${low} to ${high}`)
    .transform(Number)
    .refine((value) => value >= low && value <= high, `must be a whole number from ${low} to ${high}`)

const server = z.string().refine(isServer, 'must be a host name, an IPv4 address or an IPv6 address')
const serverpath = z.string().refine(isServerPath, 'must be an absolute path in its plain spelling: no //, no /../, no / at the end, no control characters')

export const NfsDconf = z.strictObject({
  server: server.meta({ description: 'The NFS server: name or address', examples: ['filer.example.com', '192.0.2.10', 'fd00::10'] }),
  serverpath: serverpath.meta({ description: 'The exported directory; the SR is a directory in it, named by its uuid', examples: ['/srv/sr'] }),
  nfsversion: z.enum(nfsVersions).optional().meta({ description: 'Version to speak. Absent: the highest 4.x that the server offers, or 3 if it offers no 4', examples: ['4.2'] }),
  mountpolicy: z.enum(['hard', 'soft']).default('hard').meta({ description: 'When the server does not answer: hard waits for it, so that guests go on where they were; soft gives them I/O errors after a while' }),
  timeo: number(10, 6000).default(100).meta({ description: 'Tenths of a second until a request is sent again', examples: ['100'] }),
  retrans: number(1, 20).default(2).meta({ description: 'How often it is sent again, each time later, before soft gives up', examples: ['2'] }),
  port: number(1, 65535).optional().meta({ description: 'Port of the NFS server; 2049 when absent', examples: ['2049'] }),
})
export type NfsDconf = z.output<typeof NfsDconf>

/** What a probe needs at least; everything else as in a whole dconf. */
export const NfsServerOnly = NfsDconf.partial({ serverpath: true })
