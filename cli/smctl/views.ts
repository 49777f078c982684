/** Answers for eyes: which fields of a result become columns, and which lines stand around them. `--json` shows them raw. */
import type { MethodName, Result } from '../../core/methods/index.ts'
import { formatSize } from '../../core/units.ts'
import { oneLine } from '../output.ts'

/** A piece of an answer: a sentence, a list of fields, or a table. */
export type Block =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'fields'; readonly rows: readonly (readonly [label: string, value: string])[] }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[]; readonly empty: string }

type View<M extends MethodName> = (result: Result<M>) => readonly Block[]
type VdiInfo = Result<'VDI.stat'>
type TaskInfo = Result<'Task.get_state'>

const line = (text: string): Block => ({ kind: 'line', text })
const size = (bytes: number): string => `${formatSize(bytes)}`
const exact = (bytes: number): string => `${formatSize(bytes)} (${bytes})`
const yes = (flag: boolean): string => (flag ? 'yes' : 'no')
const pairs = (config: Readonly<Record<string, string>>): string => Object.entries(config).map(([key, value]) => `${key}=${value}`).join(' ')

const stateOf = (vdi: VdiInfo): string => {
  const words = [
    ...(vdi.problem === undefined ? [] : ['damaged']),
    ...(vdi.attached === undefined ? [] : [`attached ${vdi.attached}`]),
    ...(vdi.locked ? [`locked by ${vdi.lock?.owner ?? 'somebody'}`] : []),
  ]
  return words.length === 0 ? '-' : words.join(', ')
}

const some = (label: string, value: string | undefined): readonly (readonly [string, string])[] => (value === undefined || value === '' ? [] : [[label, value]])

const vdiFields = (vdi: VdiInfo): readonly Block[] => [{
  kind: 'fields',
  rows: [
    ['uuid', vdi.uuid],
    ...some('name', vdi.name),
    ...some('description', vdi.description),
    ['kind', vdi.kind],
    ['format', vdi.format],
    ['size', exact(vdi.size)],
    ['occupies', exact(vdi.utilisation)],
    ['read-only', yes(vdi.read_only)],
    ['shareable', yes(vdi.shareable)],
    ...some('parent', vdi.parent),
    ...some('snapshot of', vdi.snapshot_of),
    ...some('taken', vdi.snapshot_time),
    ...some('attached', vdi.attached),
    ...(vdi.lock === undefined ? [] : [['lock', `${vdi.lock.owner} on ${vdi.lock.host}${vdi.lock.since === undefined ? '' : ` since ${vdi.lock.since}`}${vdi.locked ? '' : ' (expired)'}`] as const]),
    ...some('problem', vdi.problem?.message),
    ...(vdi.warnings ?? []).map((warning) => ['warning', warning] as const),
  ],
}]

const taskFields = (task: TaskInfo): readonly Block[] => [{
  kind: 'fields',
  rows: [
    ['task', task.task],
    ['call', task.method],
    ['state', task.state],
    ...(task.progress === undefined || task.progress.total === 0 ? [] : [['progress', `${Math.floor((100 * task.progress.done) / task.progress.total)} %`] as const]),
    ['started', task.started],
    ...some('ended', task.ended),
    ...some('error', task.error?.message),
    ...some('remedy', task.error?.remedy),
    ...(task.result === undefined ? [] : [['result', JSON.stringify(task.result)] as const]),
  ],
}]

const volumeTable = (volumes: Result<'Array.volumes'>['volumes']): readonly Block[] => [{
  kind: 'table', head: ['ID', 'NAME', 'SIZE', 'WWID', 'ONLINE', 'PRESENTED TO', 'UNIT'], empty: 'There are no volumes.',
  rows: volumes.map((one) => [one.id, one.name, size(one.size), one.wwid ?? '-', yes(one.online), one.presented_to.join(' ') || '-', one.replication_unit ?? '-']),
}]

/** Every unit that was asked for, with what became of it. */
const unitResults = ({ results }: Result<'Replication.pause'>): readonly Block[] => [{
  kind: 'table', head: ['UNIT', 'RESULT', 'STATE', 'NOTES'], empty: 'No unit was named.',
  rows: results.map(({ item, value, error, warnings }) => [item, error === undefined ? (value?.changed === true ? 'done' : 'nothing to do') : error.kind, value?.state ?? '-', [error?.message, error?.remedy, ...warnings].filter((one) => one !== undefined).join('; ') || '-']),
}]

const changed = ({ changed: done }: { readonly changed: boolean }): readonly Block[] => [line(done ? 'done' : 'nothing to do')]

const views: { readonly [M in MethodName]?: View<M> } = {
  'SR.list': ({ srs }) => [{
    kind: 'table', head: ['UUID', 'TYPE', 'ATTACHED', 'WHERE'], empty: 'This host knows no SR.',
    rows: srs.map((sr) => [sr.uuid, sr.type, yes(sr.attached), pairs(sr.device_config)]),
  }],
  'SR.probe': ({ candidates, tried }) => [
    {
      kind: 'table', head: ['FOUND', 'COMPLETE', 'SR', 'WHERE', 'WHAT'], empty: 'Nothing was found.',
      rows: candidates.map((place) => [place.found, yes(place.complete), [place.sr?.uuid ?? '-', place.sr?.name ?? ''].join(' ').trim(), pairs(place.device_config), place.says]),
    },
    ...tried.map(({ step, said }) => line(`tried ${step}: ${said}`)),
  ],
  'SR.create': ({ sr_uuid }) => [line(`SR ${sr_uuid} was created; attach it with: smctl sr attach ${sr_uuid}`)],
  'SR.introduce': ({ sr_uuid, adopted }) => [line(`SR ${sr_uuid} ${adopted ? 'was adopted' : 'is known now'}; attach it with: smctl sr attach ${sr_uuid}`)],
  'SR.attach': ({ changed: done, recovered }) => [line(done ? 'attached' : 'attached already'), ...recovered.map((what) => line(`after a crash: ${what}`))],
  'SR.content_type': ({ content_type }) => [line(content_type)],
  'SR.scan': (sr) => [
    {
      kind: 'table', head: ['UUID', 'NAME', 'KIND', 'SIZE', 'OCCUPIES', 'STATE', 'PARENT'], empty: 'There are no VDIs.',
      rows: sr.vdis.map((vdi) => [vdi.uuid, vdi.name === '' ? '-' : vdi.name, vdi.kind, size(vdi.size), size(vdi.utilisation), stateOf(vdi), vdi.parent ?? '-']),
    },
    line(`${sr.vdis.length} VDI${sr.vdis.length === 1 ? '' : 's'}, ${size(sr.virtual_allocation)} promised, ${size(sr.physical_utilisation)} occupied, ${size(sr.free)} of ${size(sr.physical_size)} free`),
  ],
  'SR.stat': (sr) => [{
    kind: 'fields',
    rows: [
      ['uuid', sr.uuid], ['type', sr.type], ...some('name', sr.name), ...some('description', sr.description),
      ['size', exact(sr.physical_size)], ['occupied', exact(sr.physical_utilisation)], ['free', exact(sr.free)],
      ['content type', sr.content_type], ['features', sr.features.join(', ')],
    ],
  }],
  'SR.backlog': (backlog) => [
    {
      kind: 'table', head: ['ACTION', 'VDI', 'CHILD', 'BYTES', 'BLOCKED BY'], empty: 'The collector owes nothing.',
      rows: backlog.steps.map((step) => [step.action, step.vdi_uuid, step.child_uuid ?? '-', size(step.bytes), step.blocked_by.join('; ') || '-']),
    },
    line(`${size(backlog.bytes)} to move; the longest chain has ${backlog.longest_chain} image${backlog.longest_chain === 1 ? '' : 's'}`),
  ],
  'SR.collect': (done) => [line(`${done.removed} removed, ${done.coalesced} coalesced (${size(done.bytes)} moved), ${done.blocked} blocked`)],
  'SR.orphans': ({ orphans }) => [{
    kind: 'table', head: ['WHERE', 'BYTES', 'WHY', 'REMOVED BY'], empty: 'There is nothing without an owner.',
    rows: orphans.map((orphan) => [orphan.where, size(orphan.bytes), orphan.why, orphan.collectable ? 'the collector' : 'the operator']),
  }],
  'SR.verify': ({ checked, findings }) => [
    {
      kind: 'table', head: ['WEIGHT', 'WHERE', 'WHAT', 'MENDED'], empty: 'Nothing was found.',
      rows: findings.map((finding) => [finding.weight, finding.where, finding.what, yes(finding.repaired)]),
    },
    line(`${checked} VDI${checked === 1 ? '' : 's'} checked, ${findings.length} finding${findings.length === 1 ? '' : 's'}`),
  ],
  'VDI.create': vdiFields,
  'VDI.stat': vdiFields,
  'VDI.snapshot': vdiFields,
  'VDI.clone': vdiFields,
  'VDI.resize': vdiFields,
  'VDI.revert': vdiFields,
  'VDI.attach': (attachment) => [{
    kind: 'fields',
    rows: [['path', attachment.path], ['content type', attachment.content_type], ['mode', attachment.mode], ['changed', attachment.changed ? 'yes' : 'no, it was attached already']],
  }],
  'Array.list': ({ arrays }) => [{ kind: 'table', head: ['NAME', 'TYPE', 'CONNECTION'], empty: 'No array is configured: smctl array add', rows: arrays.map((one) => [one.name, one.type, pairs(one.device_config)]) }],
  'Array.volumes': ({ volumes }) => volumeTable(volumes),
  'Array.clones': ({ volumes }) => volumeTable(volumes),
  'Array.groups': ({ groups }) => [{ kind: 'table', head: ['GROUP', 'INITIATORS'], empty: 'There are no access groups.', rows: groups.map((one) => [one.name, one.initiators.map(({ kind, id }) => `${kind}:${id}`).join(' ')]) }],
  'Array.snapshots': ({ snapshots }) => [{ kind: 'table', head: ['ID', 'NAME', 'TAKEN', 'VOLUMES'], empty: 'There are no snapshots.', rows: snapshots.map((one) => [one.id, one.name, one.created, one.members.map(({ volume }) => volume).join(' ')]) }],
  'Replication.list': ({ units }) => [{
    kind: 'table', head: ['UNIT', 'NAME', 'STATE', 'ROLE', 'DIRECTION', 'LAST CONSISTENT', 'WARNINGS'], empty: 'Nothing is replicated.',
    rows: units.map((unit) => [unit.unit, unit.name, unit.state, unit.role, unit.direction, unit.last_consistent, unit.warnings.join('; ') || '-']),
  }],
  'Replication.status': (unit) => [
    { kind: 'fields', rows: [
      ['unit', unit.unit], ['key', unit.key], ['name', unit.name], ['state', unit.state], ['which means', unit.says], ['role here', unit.role], ['source / target', `${unit.source_role} / ${unit.target_role}`],
      ['direction', unit.direction], ['mode', unit.mode], ['transfer', unit.transfer], ['link', unit.link], ['last consistent', unit.last_consistent], ['old source', unit.source_disposition], ['healthy', yes(unit.healthy)],
      ...(unit.pending === undefined ? [] : [['unfinished', `${unit.pending.operation} (${unit.pending.id}) at step ${unit.pending.step}: repeat it`] as const]),
      ...unit.warnings.map((warning) => ['warning', warning] as const),
    ] },
    { kind: 'table', head: ['VOLUME', 'NAME', 'SIZE', 'SYNC', 'LAST CONSISTENT'], empty: 'It has no volumes.', rows: unit.members.map((one) => [one.volume, one.name, size(one.size), one.sync, one.last_consistent]) },
  ],
  'Replication.plan': (plan) => [
    line(plan.discards ? `${plan.operation} of ${plan.unit} discards data of the ${plan.loser}:` : `${plan.operation} of ${plan.unit} discards nothing.`),
    ...plan.lost.map((what) => line(`  ${what}`)),
    line(`Both sides were the same at ${plan.last_common_point}; ${plan.keeps} keeps a copy. To do it: --plan ${plan.plan}`),
  ],
  'Replication.points': ({ points }) => [{ kind: 'table', head: ['POINT', 'NAME', 'TIME', 'WHY'], empty: 'There are no points.', rows: points.map((one) => [one.id, one.name, one.time, one.purpose]) }],
  'Replication.pause': unitResults, 'Replication.resume': unitResults, 'Replication.prepare_failover': unitResults, 'Replication.failover': unitResults, 'Replication.prepare_reverse': unitResults,
  'Replication.reverse': unitResults, 'Replication.prepare_restore': unitResults, 'Replication.restore': unitResults, 'Replication.stop_test': unitResults, 'Replication.adopt': unitResults,
  'Task.list': ({ tasks }) => [{
    kind: 'table', head: ['TASK', 'CALL', 'STATE', 'STARTED'], empty: 'There are no tasks.', rows: tasks.map((task) => [task.task, task.method, task.state, task.started]),
  }],
  'Task.get_state': taskFields,
  'Task.wait': taskFields,
  'Task.cancel': taskFields,
  'Driver.list': ({ drivers }) => [{
    kind: 'table', head: ['TYPE', 'TITLE', 'SHARED', 'LARGEST VDI', 'FEATURES', 'DCONF'], empty: 'There are no drivers.',
    rows: drivers.map((driver) => [
      driver.type, driver.title, yes(driver.shared), size(driver.max_vdi_size), driver.features.join(' '),
      Object.keys((driver.dconf as { readonly properties?: object }).properties ?? {}).join(' '),
    ]),
  }],
}

type Plain = Readonly<Record<string, unknown>>
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'boolean' ? yes(value) : JSON.stringify(value) ?? '')

/** For calls without a view of their own: scalars as fields, a list of objects as a table. */
const plainBlocks = (result: unknown): readonly Block[] => {
  if (!isPlain(result)) return [line(shown(result))]
  const label = (key: string): string => key.replaceAll('_', ' ')
  const isTable = (value: unknown): value is readonly Plain[] => Array.isArray(value) && value.every(isPlain)
  const fields = Object.entries(result).filter(([, value]) => !isTable(value))
  return [
    ...(fields.length === 0 ? [] : [{ kind: 'fields' as const, rows: fields.map(([key, value]) => [label(key), shown(value)] as const) }]),
    ...Object.entries(result).flatMap(([key, value]): readonly Block[] => {
      if (!isTable(value)) return []
      const columns = [...new Set(value.flatMap((row) => Object.keys(row)))]
      return [{ kind: 'table', head: columns.map((column) => label(column).toUpperCase()), rows: value.map((row) => columns.map((column) => (row[column] === undefined ? '-' : shown(row[column])))), empty: `There are no ${label(key)}.` }]
    }),
  ]
}

export const blocksOf = (method: string, result: unknown): readonly Block[] => {
  const view = views[method as MethodName] as ((result: unknown) => readonly Block[]) | undefined
  if (view !== undefined) return view(result)
  return isPlain(result) && Object.keys(result).length === 1 && typeof result['changed'] === 'boolean' ? changed({ changed: result['changed'] }) : plainBlocks(result)
}

/** What `--quiet` prints, one a line: the identities in an answer, for scripts. */
export const identitiesOf = (result: unknown): readonly string[] => {
  if (!isPlain(result)) return []
  const list = Object.values(result).find((value): value is readonly Plain[] => Array.isArray(value) && value.length > 0 && value.every(isPlain))
  return list === undefined ? identityOf(result) : list.flatMap(identityOf)
}

const identityOf = (result: Plain): readonly string[] => {
  for (const key of ['path', 'uuid', 'sr_uuid', 'vdi_uuid', 'task', 'type', 'content_type']) {
    const value = result[key]
    if (typeof value === 'string') return [oneLine(value)]
  }
  return []
}
