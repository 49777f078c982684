/** The command lines of iscsiadm, sg_vpd, sg_persist, blockdev, multipathd and the like, on the model; texts and statuses as recorded. */
import type { Command, RunResult } from '../../../../core/ports.ts'
import type { ModelHost } from '../../model/machine.ts'
import { naaOf, persistOut, portalName, reservationsOf, type ModelArray, type ModelPortal, type ModelTarget } from './array.ts'
import { answers, pathsOfMap, remap, rescanSession, serialBehind, type ModelDisk, type ModelInitiator, type ModelSession } from './initiator.ts'
import { discoveryRecord, nodeRecord, readText, recordValue, removeText, writeText } from './records.ts'

export interface Scene {
  readonly array: ModelArray
  readonly initiator: ModelInitiator
  readonly host: ModelHost
}

const said = (exitCode: number, stdout = '', stderr = ''): RunResult => ({ exitCode, stdout, stderr, durationMs: 1 })
const unknown = (argv: readonly string[]): never => {
  throw new Error(`the model does not know: ${argv.join(' ')}`)
}

const optionOf = (argv: readonly string[], name: string): string | undefined => {
  const at = argv.indexOf(name)
  return at < 0 ? undefined : argv[at + 1]
}

const portalIn = (text: string): ModelPortal & { readonly group: number } => {
  const [, v6, v4, port, group] = /^(?:\[([^\]]+)\]|([^:,]+)):(\d+)(?:,(\d+))?$/.exec(text) ?? []
  return { address: v6 ?? v4 ?? '', port: Number(port), group: Number(group ?? 1) }
}

const targetsAt = (array: ModelArray, portal: ModelPortal): readonly ModelTarget[] => array.targets.filter(({ alive }) => alive.has(portalName(portal)))

const listing = (targets: readonly ModelTarget[]): string =>
  targets.flatMap((target) => target.portals.map((portal) => `${portal.address.includes(':') ? `[${portal.address}]` : portal.address}:${portal.port},1 ${target.iqn}\n`)).join('')

const discoverAt = ({ array }: Scene, portal: ModelPortal, chap: { readonly user: string | undefined; readonly password: string | undefined } | undefined): RunResult => {
  const targets = targetsAt(array, portal)
  if (targets.length === 0) {
    return said(11, '', `${`iscsiadm: cannot make connection to ${portal.address}: Connection refused\n`.repeat(6)}iscsiadm: connection login retries (reopen_max) 5 exceeded\niscsiadm: Could not perform SendTargets discovery: iSCSI PDU timed out\n`)
  }
  const want = array.discoveryChap
  if (want !== undefined && (chap?.user !== want.user || chap.password !== want.password)) {
    return said(24, '', `iscsiadm: Login failed to authenticate with target \niscsiadm: discovery login to ${portal.address} rejected: initiator failed authorization\niscsiadm: Could not perform SendTargets discovery: iSCSI login failed due to authorization failure\n`)
  }
  return said(0, listing(targets))
}

const discoverydb = (scene: Scene, argv: readonly string[]): RunResult => {
  const portal = portalIn(optionOf(argv, '-p') ?? '')
  const path = `/etc/iscsi/send_targets/${portal.address},${portal.port}/st_config`
  if (argv.includes('--discover')) {
    const text = readText(scene.host, path)
    if (text === undefined) return said(21, '', 'iscsiadm: No records found\n')
    const chap = recordValue(text, 'discovery.sendtargets.auth.authmethod') === 'CHAP'
      ? { user: recordValue(text, 'discovery.sendtargets.auth.username'), password: recordValue(text, 'discovery.sendtargets.auth.password') } : undefined
    return discoverAt(scene, portal, chap)
  }
  const op = optionOf(argv, '-o')
  if (op === 'new') {
    writeText(scene.host, path, discoveryRecord(portal.address, portal.port))
    return said(0, `New discovery record for [${portal.address},${portal.port}] added.\n`)
  }
  if (op === 'delete') return removeText(scene.host, path) ? said(0) : said(21, '', 'iscsiadm: No records found\n')
  return unknown(argv)
}

const facePath = (face: string): string => `/etc/iscsi/ifaces/${face}`
const initiatorOf = ({ host, initiator }: Scene, face: string): string | undefined => {
  if (face === 'default') return initiator.name
  const text = readText(host, facePath(face))
  return text === undefined ? undefined : recordValue(text, 'iface.initiatorname') ?? initiator.name
}

/** What the target makes of the credentials in a record; a status of iscsiadm, or undefined when it lets in. */
const refusal = (target: ModelTarget, initiator: string, text: string): number | undefined => {
  if (target.initiators !== undefined && !target.initiators.includes(initiator)) return 24
  const given = recordValue(text, 'node.session.auth.authmethod') === 'CHAP'
  if (target.chap === undefined) return given ? 19 : undefined
  if (!given || recordValue(text, 'node.session.auth.username') !== target.chap.user || recordValue(text, 'node.session.auth.password') !== target.chap.password) return 24
  const incoming = recordValue(text, 'node.session.auth.username_in')
  if (incoming === undefined) return undefined
  return target.mutual?.user === incoming && target.mutual.password === recordValue(text, 'node.session.auth.password_in') ? undefined : 19
}

const reasons: Readonly<Record<number, string>> = {
  8: 'connection timed out', 19: 'encountered non-retryable iSCSI login failure', 24: 'iSCSI login failed due to authorization failure',
}

const login = (scene: Scene, iqn: string, portal: ModelPortal, face: string, text: string): RunResult => {
  const { array, initiator } = scene
  const name = `[iface: ${face}, target: ${iqn}, portal: ${portal.address},${portal.port}]`
  if (initiator.sessions.some((one) => one.target === iqn && one.face === face && portalName(one.portal) === portalName(portal))) {
    return said(15, '', `iscsiadm: ${face}: 1 session requested, but 1 already present.\niscsiadm: Could not log into all portals\n`)
  }
  const as = initiatorOf(scene, face)
  if (as === undefined) return said(3, '', `iscsiadm: Could not read iface info for ${face}.\n`)
  const target = targetsAt(array, portal).find((one) => one.iqn === iqn)
  const failure = target === undefined ? 8 : refusal(target, as, text)
  if (failure !== undefined) return said(failure, `Logging in to ${name}\n`, `iscsiadm: Could not login to ${name}.\niscsiadm: initiator reported error (${failure} - ${reasons[failure] ?? ''})\niscsiadm: Could not log into all portals\n`)
  const session: ModelSession = { sid: initiator.nextSid, target: iqn, portal: { address: portal.address, port: portal.port }, initiator: as, face, state: 'LOGGED_IN', disks: [] }
  initiator.nextSid += 1
  initiator.sessions.push(session)
  rescanSession(array, initiator, session)
  remap(initiator)
  return said(0, `Logging in to ${name}\nLogin to ${name} successful.\n`)
}

const node = (scene: Scene, argv: readonly string[]): RunResult => {
  const [iqn, face] = [optionOf(argv, '-T') ?? unknown(argv), optionOf(argv, '-I') ?? unknown(argv)]
  const portal = portalIn(optionOf(argv, '-p') ?? '')
  const path = `/etc/iscsi/nodes/${iqn}/${portal.address},${portal.port},${portal.group}/${face}`
  const initiator = initiatorOf(scene, face)
  if (initiator === undefined) return said(3, '', `iscsiadm: Could not read iface info for ${face}.\n`)
  if (argv.includes('--login')) {
    const text = readText(scene.host, path)
    return text === undefined ? said(21, '', 'iscsiadm: No records found\n') : login(scene, iqn, portal, face, text)
  }
  const op = optionOf(argv, '-o')
  if (op === 'delete') return removeText(scene.host, path) ? said(0) : said(21, '', 'iscsiadm: No records found\n')
  if (op !== 'new') return unknown(argv)
  writeText(scene.host, path, nodeRecord(iqn, portal.address, portal.port, portal.group, face, face === 'default' ? undefined : initiator))
  return said(0, `New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=${face}] ${portal.address},${portal.port},${portal.group} ${iqn}] added\n`)
}

const face = ({ host, initiator }: Scene, argv: readonly string[]): RunResult => {
  const name = optionOf(argv, '-I') ?? unknown(argv)
  const op = optionOf(argv, '-o')
  const begin = `# BEGIN RECORD 2.1.8\niface.iscsi_ifacename = ${name}\niface.transport_name = tcp\n`
  if (op === 'new') {
    writeText(host, facePath(name), `${begin}# END RECORD\n`)
    return said(0, `${name} updated.\nNew interface ${name} added\n`)
  }
  if (op === 'update') {
    if (optionOf(argv, '-n') !== 'iface.initiatorname') return unknown(argv)
    writeText(host, facePath(name), `${begin}iface.initiatorname = ${optionOf(argv, '-v') ?? ''}\n# END RECORD\n`)
    return said(0, `${name} updated.\n`)
  }
  if (op !== 'delete') return unknown(argv)
  if (initiator.sessions.some((session) => session.face === name)) throw new Error(`the interface ${name} is deleted under its session`)
  return removeText(host, facePath(name)) ? said(0, `${name} unbound and deleted.\n`) : said(6, '', `iSCSI ERROR: Failed to open /etc/iscsi/ifaces/${name} using read mode: 2 No such file or directory\n`)
}

const session = (scene: Scene, argv: readonly string[]): RunResult => {
  const { array, initiator } = scene
  const sid = Number(optionOf(argv, '-r'))
  const found = initiator.sessions.find((one) => one.sid === sid)
  if (found === undefined) return said(22, '', `iscsiadm: could not read session targetname: 5\niscsiadm: Could not get session info for sid ${sid}\n`)
  if (initiatorOf(scene, found.face) === undefined) return said(3, '', `iscsiadm: Could not read iface info for ${found.face}.\n`)
  const name = `[sid: ${sid}, target: ${found.target}, portal: ${found.portal.address},${found.portal.port}]`
  if (argv.includes('-u')) {
    const busy = found.disks.find((disk) => initiator.builtOn.has(disk.name) || [...initiator.maps.keys()].includes(`3${naaOf(disk.serial)}`))
    if (busy !== undefined) throw new Error(`session ${sid} is logged out under what is built on ${busy.name}`)
    initiator.sessions = initiator.sessions.filter((one) => one !== found)
    return said(0, `Logging out of session ${name}\nLogout of ${name} successful.\n`)
  }
  if (!argv.includes('--rescan')) return unknown(argv)
  if (answers(array, found)) rescanSession(array, initiator, found)
  remap(initiator)
  return said(0, `Rescanning session ${name}\n`)
}

const modes: Readonly<Record<string, (scene: Scene, argv: readonly string[]) => RunResult>> = {
  discovery: (scene, argv) => discoverAt(scene, portalIn(optionOf(argv, '-p') ?? ''), undefined), discoverydb, node, iface: face, session,
}

/** The disk behind a name in /dev, as udev's links and maps lead to it. */
const diskAt = ({ initiator }: Scene, path: string): ModelDisk | undefined => {
  const disks = initiator.sessions.flatMap(({ disks: all }) => all)
  const [, name] = /^\/dev\/(sd[a-z]+)$/.exec(path) ?? []
  if (name !== undefined) return disks.find((disk) => disk.name === name)
  const [, number] = /^\/dev\/dm-(\d+)$/.exec(path) ?? []
  const wwid = number === undefined ? /^\/dev\/disk\/by-id\/dm-uuid-mpath-(\S+)$/.exec(path)?.[1] : [...initiator.maps].find(([, map]) => map.number === Number(number))?.[0]
  if (wwid !== undefined) return pathsOfMap(initiator, wwid)[0]
  const [, naa] = /^\/dev\/disk\/by-id\/(?:wwn-0x|scsi-3)([0-9a-f]+)$/.exec(path) ?? []
  // A link leads to the path that was there last.
  return naa === undefined ? undefined : disks.findLast((disk) => naaOf(disk.serial) === naa)
}

const vpd83 = (serial: string): string => {
  const t10 = Buffer.from(`LIO-ORG FILEIO:${serial}\0`)
  const body = Buffer.concat([Buffer.from([1, 3, 0, 16]), Buffer.from(naaOf(serial), 'hex'), Buffer.from([2, 1, 0, t10.length]), t10, Buffer.from([0x51, 0x94, 0, 4, 0, 0, 0, 1])])
  const page = Buffer.concat([Buffer.from([0, 0x83, body.length >> 8, body.length & 255]), body])
  return page.toString('hex').replace(/(..)/g, '$1 ').replace(/(.{48})/g, '$1\n')
}

const nexusOf = ({ initiator }: Scene, disk: ModelDisk): string => {
  const session = initiator.sessions.find(({ disks }) => disks.includes(disk))
  return `${session?.initiator ?? ''},i,0x00023d${(session?.sid ?? 0).toString(16).padStart(6, '0')}`
}

const heading = '  LIO-ORG   FILEIO            4.0 \n  Peripheral device type: disk\n'
const hex = (key: bigint): string => `0x${key.toString(16)}`

const persist = (scene: Scene, argv: readonly string[]): RunResult => {
  const disk = diskAt(scene, argv.at(-1) ?? '')
  const serial = disk === undefined ? undefined : serialBehind(scene.array, scene.initiator, disk)
  if (disk === undefined || serial === undefined) return said(52, '', `sg_persist: error opening file (ro): ${argv.at(-1) ?? ''}: No such file or directory\n`)
  if (scene.array.plain.has(serial)) return said(5, heading, 'PR in: bad field in cdb or parameter list (perhaps unsupported service action)\n')
  const state = reservationsOf(scene.array, serial)
  const nexus = nexusOf(scene, disk)
  if (argv.includes('--in')) {
    const generation = `  PR generation=0x${state.generation.toString(16)}`
    if (argv.includes('--read-reservation')) {
      const key = state.holder === undefined ? undefined : state.registered.get(state.holder)
      return said(0, `${heading}${generation}, ${key === undefined ? 'there is NO reservation held' : `Reservation follows:\n    Key=${hex(key)}\n    scope: LU_SCOPE,  type: Write Exclusive, registrants only`}\n`)
    }
    if (!argv.includes('--read-full-status')) return unknown(argv)
    const rows = [...state.registered].map(([name, key]) => `    Key=${hex(key)}\n      All target ports bit clear\n      Relative port address: 0x1\n      ${name === state.holder ? '<< Reservation holder >>\n      scope: LU_SCOPE,  type: Write Exclusive, registrants only' : 'not reservation holder'}\n      Transport Id of initiator:\n        iSCSI world wide unique port id: ${name}\n`)
    return said(0, `${heading}${generation}\n${rows.length === 0 ? '  No full status descriptors\n' : rows.join('')}`)
  }
  const valueOf = (name: string): bigint => BigInt(argv.find((word) => word.startsWith(`--param-${name}=`))?.split('=')[1] ?? '0')
  const act = ['register-ignore', 'reserve', 'preempt', 'release'].find((name) => argv.includes(`--${name}`)) ?? unknown(argv)
  if (act !== 'register-ignore' && !argv.includes('--prout-type=5')) return unknown(argv)
  return persistOut(state, nexus, act, valueOf('rk'), valueOf('sark')) ? said(0, heading) : said(24, heading, 'PR out: Reservation conflict\nsg_persist failed: Reservation conflict\n')
}

const blockdev = (scene: Scene, argv: readonly string[]): RunResult => {
  const [, how, path = ''] = argv
  const disk = diskAt(scene, path)
  if (disk === undefined) return said(1, '', `blockdev: cannot open ${path}: No such file or directory\n`)
  if (how === '--flushbufs') return said(0)
  if (how !== '--setro' && how !== '--setrw') return unknown(argv)
  const map = /^\/dev\/dm-(\d+)$/.exec(path) === null ? undefined : scene.initiator.maps.get(`3${naaOf(disk.serial)}`)
  if (map === undefined) disk.readOnly = how === '--setro'
  else map.readOnly = how === '--setro'
  return said(0)
}

const multipathd = ({ array, initiator }: Scene, argv: readonly string[]): RunResult => {
  const words = argv.slice(1).join(' ')
  if (!initiator.multipathd) return said(1, '', 'error -5 receiving packet\n')
  if (words === 'show daemon') return said(0, 'pid 2638 idle\n')
  if (words === 'show maps json') {
    return said(0, JSON.stringify({ major_version: 0, minor_version: 1, maps: [...initiator.maps.keys()].map((wwid) => ({
      name: wwid, uuid: wwid, path_groups: [{ paths: pathsOfMap(initiator, wwid).map((disk) => ({ dev: disk.name, chk_st: serialBehind(array, initiator, disk) === undefined ? 'faulty' : 'ready' })) }],
    })) }))
  }
  if (words.startsWith('add path')) return said(0, 'ok\n')
  const map = initiator.maps.get(/^resize map (\S+)$/.exec(words)?.[1] ?? '')
  if (map === undefined) return said(1, 'fail\n')
  map.size = Math.max(...pathsOfMap(initiator, /^resize map (\S+)$/.exec(words)?.[1] ?? '').map(({ size }) => size))
  return said(0, 'ok\n')
}

const multipath = ({ initiator }: Scene, argv: readonly string[]): RunResult => {
  const [, flag, wwid = ''] = argv
  if (flag !== '-f') return unknown(argv)
  const map = initiator.maps.get(wwid)
  if (map === undefined) return said(1, '', `993.967347 | ${wwid} is not a multipath device\n`)
  if (initiator.open.has(`/dev/dm-${map.number}`)) return said(1, '', `1093.120863 | ${wwid}: map in use\n`)
  initiator.maps.delete(wwid)
  return said(0)
}

const tee = ({ initiator }: Scene, argv: readonly string[], stdin: string | undefined): RunResult => {
  const [, sid, lun] = /\/session(\d+)\/.*:(\d+)\/delete$/.exec(argv[1] ?? '') ?? []
  const session = initiator.sessions.find((one) => one.sid === Number(sid))
  if (session === undefined || stdin !== '1') return said(1, '', `tee: ${argv[1] ?? ''}: No such file or directory\n`)
  session.disks = session.disks.filter((disk) => disk.lun !== Number(lun))
  return said(0, '1')
}

const run: Readonly<Record<string, (scene: Scene, argv: readonly string[], stdin: string | undefined) => RunResult>> = {
  iscsiadm: (scene, argv) => modes[optionOf(argv, '-m') ?? '']?.(scene, argv) ?? unknown(argv),
  sg_vpd: (scene, argv) => {
    const disk = diskAt(scene, argv.at(-1) ?? '')
    const serial = disk === undefined ? undefined : serialBehind(scene.array, scene.initiator, disk)
    if (!argv.includes('--page=0x83') || !argv.includes('-HHH')) return unknown(argv)
    return disk === undefined || serial === undefined ? said(disk === undefined ? 52 : 5) : said(0, vpd83(serial))
  },
  sg_persist: persist,
  blockdev,
  find: ({ initiator }, argv) => said(0, argv.flatMap((word) => (initiator.open.has(word) ? [`/proc/${initiator.open.get(word) ?? 0}/fd/7\n`] : [])).join('')),
  udevadm: (_, argv) => (argv[1] === 'settle' ? said(0) : unknown(argv)),
  multipathd,
  multipath,
  tee,
}

export const toolNames = Object.keys(run)

export const runTool = (scene: Scene, { argv, stdin }: Command): RunResult => run[argv[0]]?.(scene, argv, stdin) ?? unknown(argv)
