/** open-iscsi's database in the model: real files in the root of the host, so that what the driver writes there is what a login reads. */
import type { ModelHost } from '../../model/machine.ts'
import { placeDirectory } from '../../model/machine.ts'
import { addInode, assign, change, readInode, syncContent, syncNames, type Inode, type Volume } from '../../model/volume.ts'

const rootOf = (host: ModelHost): Volume => {
  const root = host.space.mounts.get('/')
  if (root === undefined) throw new Error('a host without a root')
  return root
}

const walk = (root: Volume, path: string): Inode | undefined => {
  let at: Inode | undefined = root.root
  for (const name of path.split('/').filter((part) => part !== '')) at = at?.entries.get(name)
  return at
}

export const writeText = (host: ModelHost, path: string, text: string): void => {
  const root = rootOf(host)
  const slash = path.lastIndexOf('/')
  placeDirectory(root, path.slice(0, slash))
  const directory = walk(root, path.slice(0, slash)) ?? root.root
  const inode = addInode(root, 'file', host.space.now())
  change(inode, { kind: 'write', position: 0, bytes: new TextEncoder().encode(text) }, host.space.now())
  syncContent(inode)
  assign(root, [{ directory, name: path.slice(slash + 1), to: inode }], host.space.now())
  syncNames(root, directory)
}

export const readText = (host: ModelHost, path: string): string | undefined => {
  const inode = walk(rootOf(host), path)
  return inode === undefined || inode.kind !== 'file' ? undefined : Buffer.from(readInode(inode, 0, inode.content.length)).toString('utf8')
}

/** Removes a file, and the directories that are empty without it, up to `/etc/iscsi`. */
export const removeText = (host: ModelHost, path: string): boolean => {
  const root = rootOf(host)
  if (readText(host, path) === undefined) return false
  for (let at = path; at !== '/etc/iscsi'; at = at.slice(0, at.lastIndexOf('/'))) {
    const directory = walk(root, at.slice(0, at.lastIndexOf('/'))) ?? root.root
    if ((walk(root, at)?.entries.size ?? 0) > 0) break
    assign(root, [{ directory, name: at.slice(at.lastIndexOf('/') + 1), to: undefined }], host.space.now())
    syncNames(root, directory)
  }
  return true
}

export const recordValue = (text: string, name: string): string | undefined =>
  text.split('\n').find((line) => line.startsWith(`${name} = `))?.slice(name.length + 3)

/** A record with the defaults of iscsid.conf, shortened to what matters here. */
export const nodeRecord = (iqn: string, address: string, port: number, group: number, face: string, initiator: string | undefined): string => `# BEGIN RECORD 2.1.8
node.name = ${iqn}
node.tpgt = ${group}
node.startup = manual
node.leading_login = No
iface.iscsi_ifacename = ${face}
iface.transport_name = tcp
${initiator === undefined ? '' : `iface.initiatorname = ${initiator}\n`}node.discovery_type = static
node.session.initial_login_retry_max = 8
node.session.nr_sessions = 1
node.session.auth.authmethod = None
node.session.auth.chap_algs = MD5
node.session.timeo.replacement_timeout = 120
node.session.scan = auto
node.conn[0].address = ${address}
node.conn[0].port = ${port}
node.conn[0].startup = manual
node.conn[0].timeo.login_timeout = 15
# END RECORD
`

export const discoveryRecord = (address: string, port: number): string => `# BEGIN RECORD 2.1.8
discovery.startup = manual
discovery.type = sendtargets
discovery.sendtargets.address = ${address}
discovery.sendtargets.port = ${port}
discovery.sendtargets.auth.authmethod = None
discovery.sendtargets.timeo.login_timeout = 15
discovery.sendtargets.reopen_max = 5
# END RECORD
`
