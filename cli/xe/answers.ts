/**
 * What the driver executables print: the XML of the SM API ("sr_scan", "vdi_attach", "sr_content_type"), element names as
 * there. Calls without a row answer with their exit status alone.
 *
 * The examples of the SM API put quotation marks around texts (`&quot;aio&quot;`); readers of the time strip them. Here the
 * text stands alone: it is then right for readers that strip and for those that do not.
 */
import type { MethodName, Result } from '../../core/methods/index.ts'
import { element, xmlDocument, type Element } from './xml.ts'

type Answer<M extends MethodName> = (result: Result<M>) => Element

/** Elements about names and relations are left out when there is nothing to say, as in the example of the SM API. */
const texts = (entry: { readonly name: string; readonly description: string }): readonly Element[] => [
  ...(entry.name === '' ? [] : [element('label', entry.name)]),
  ...(entry.description === '' ? [] : [element('description', entry.description)]),
]

const scan: Answer<'SR.scan'> = (sr) => element('sr', [
  element('uuid', sr.uuid),
  element('physical_utilisation', sr.physical_utilisation),
  element('virtual_allocation', sr.virtual_allocation),
  element('physical_size', sr.physical_size),
  element('default_vdi_visibility', sr.default_vdi_visibility),
  ...texts(sr),
  ...sr.vdis.map((vdi) => element('vdi', [
    element('uuid', vdi.uuid),
    element('size', vdi.size),
    element('utilisation', vdi.utilisation),
    element('locked', vdi.locked),
    ...texts(vdi),
    element('shareable', vdi.shareable),
    element('read_only', vdi.read_only),
    ...(vdi.parent === undefined ? [] : [element('parent', vdi.parent)]),
  ])),
])

const probe: Answer<'SR.probe'> = ({ candidates, tried }) => element('probe', [
  ...candidates.map((candidate) => element('candidate', [
    element('found', candidate.found),
    element('complete', candidate.complete),
    ...(candidate.sr?.uuid === undefined ? [] : [element('uuid', candidate.sr.uuid)]),
    ...texts({ name: candidate.sr?.name ?? '', description: candidate.sr?.description ?? '' }),
    ...(candidate.sr?.vdis === undefined ? [] : [element('vdis', candidate.sr.vdis)]),
    element('says', candidate.says),
    element('dconf', Object.entries(candidate.device_config).map(([key, value]) => element(key, value))),
  ])),
  ...tried.map(({ step, said }) => element('tried', [element('step', step), element('said', said)])),
])

const answers: { readonly [M in MethodName]?: Answer<M> } = {
  'SR.scan': scan,
  'SR.probe': probe,
  'SR.content_type': ({ content_type }) => element('sr', [element('type', content_type)]),
  'VDI.attach': ({ path }) => element('sr', [element('path', path)]),
}

type DriverInfo = Result<'Driver.list'>['drivers'][number]
interface DconfSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string; readonly secret?: boolean }>>
  readonly required?: readonly string[]
}

/** The answer of `driver_info`: the descriptor of a driver. */
export const driverInfoXml = (driver: DriverInfo): string => {
  const schema = driver.dconf as DconfSchema
  return xmlDocument(element('driver', [
    element('type', driver.type),
    element('executable', driver.executable),
    element('title', driver.title),
    element('summary', driver.summary),
    element('contract', driver.contract),
    element('content_type', driver.content_type),
    element('shared', driver.shared),
    element('min_vdi_size', driver.min_vdi_size),
    element('max_vdi_size', driver.max_vdi_size),
    element('size_step', driver.size_step),
    ...(driver.max_chain === undefined ? [] : [element('max_chain', driver.max_chain)]),
    element('sr_operations', driver.sr_operations.map((name) => element('operation', name))),
    element('features', driver.features.map((name) => element('feature', name))),
    element('tools', driver.tools.map((tool) => element('tool', [
      element('name', tool.name), element('debian_package', tool.debian_package), element('needed_for', tool.needed_for),
    ]))),
    element('parameters', Object.entries(schema.properties ?? {}).map(([name, field]) => element('parameter', [
      element('name', name),
      element('description', field.description ?? ''),
      element('required', schema.required?.includes(name) === true),
      element('secret', field.secret === true),
    ]))),
  ]))
}

/** The document for a result, or nothing for calls that answer with their status alone. */
export const answerXml = (method: string, result: unknown): string => {
  const answer = answers[method as MethodName] as ((result: unknown) => Element) | undefined
  return answer === undefined ? '' : xmlDocument(answer(result))
}
