/** The conformance kit on an NFS SR of a real server; what locks between hosts decide also over version 3, which has a protocol of its own for them. */
import { conformanceCases } from '../conformance.ts'
import { nfsHarness, nfsServerForKit } from '../fixtures/image-worlds.ts'
import type { NfsServer } from '../fixtures/nfs.ts'
import { labDisk } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

export default suite({
  name: 'nfs-kit',
  driver: 'nfs',
  onlyByName: 'only the first of its sentences have been run on a real server yet',
  disks: [256 * 2 ** 20],
  async cases() {
    let serving: Promise<NfsServer> | undefined
    // One server for all: each case finds its export empty, and leaves it so.
    const server = async (): Promise<NfsServer> => (serving ??= nfsServerForKit(labDisk(0)))
    return [
      ...conformanceCases(nfsHarness(server, '4.2'), { usual: { draw: 12, topics: ['SR life cycle', 'VDI locks', 'trouble', 'two hosts'] } }),
      ...conformanceCases(nfsHarness(server, '3'), { only: ['VDI locks', 'two hosts'], usual: { draw: 5, topics: ['VDI locks', 'two hosts'] } }).map((one) => ({ ...one, name: `version 3: ${one.name}` })),
      { name: 'the server is left as it was found', run: async () => (await server()).dispose() },
    ]
  },
})
