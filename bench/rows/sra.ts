/** What Site Recovery Manager waits for: documents of large sites against the XML work alone, a whole process, and array calls of one failover. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SaxesParser } from 'saxes'
import type { Bench, Measured } from '../row.ts'
import { readResponse, writeResponse } from '../../sra/response.ts'
import { writeRequest } from '../../sra/request.ts'
import type { ResponseOf } from '../../sra/schema/index.ts'
import { sraNamespace } from '../../sra/tree.ts'
import { cpuOf, inTurn, timed } from '../measure.ts'
import { bin } from '../world.ts'
import { failoverOf } from '../sra-failover.ts'

const groups = 500
const members = 10

const wwnOf = (group: number, member: number): string => `6${(group * members + member).toString(16).padStart(31, '0')}`

const devices = (): ResponseOf<'discoverDevices'> => ({
  replicatedDevices: {
    consistencyGroups: Array.from({ length: groups }, (_, group) => ({
      id: `group-${group}`, name: `Group ${group}`, state: 'read-write' as const, targetGroup: { key: `peer-of-group-${group}` },
      sourceDevices: Array.from({ length: members }, (_one, member) => ({
        id: `volume-${group}-${member}`, name: `Volume ${member} of group ${group}`, state: 'read-write' as const,
        targetDevice: { key: `peer-of-volume-${group}-${member}` }, identity: { wwn: wwnOf(group, member) },
      })),
    })),
  },
})

/** The floor of writing: the same document out of template strings, with nothing checked and nothing escaped but texts. */
const plainly = (): string => {
  const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
  const device = (group: number, member: number): string => `        <SourceDevice id="${escape(`volume-${group}-${member}`)}" state="read-write">
          <Name>${escape(`Volume ${member} of group ${group}`)}</Name>
          <TargetDevice key="${escape(`peer-of-volume-${group}-${member}`)}"/>
          <Identity>
            <Wwn>${wwnOf(group, member)}</Wwn>
          </Identity>
        </SourceDevice>\n`
  const group = (one: number): string => `      <ConsistencyGroup id="${escape(`group-${one}`)}" state="read-write">
        <Name>${escape(`Group ${one}`)}</Name>
        <TargetGroup key="${escape(`peer-of-group-${one}`)}"/>
        <SourceDevices>\n${Array.from({ length: members }, (_, member) => device(one, member)).join('')}        </SourceDevices>
      </ConsistencyGroup>\n`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Response xmlns="${sraNamespace}">\n  <ReplicatedDevices>\n    <ConsistencyGroups>\n${Array.from({ length: groups }, (_, one) => group(one)).join('')}    </ConsistencyGroups>\n  </ReplicatedDevices>\n</Response>\n`
}

/** The floor of reading: the parser with its namespaces, and nobody who listens to more than the names. */
const parse = (xml: string): void => {
  const parser = new SaxesParser({ xmlns: true })
  let elements = 0
  parser.on('opentag', () => {
    elements += 1
  })
  parser.write(xml).close()
  if (elements < groups * members) throw new Error('the document was not read')
}

const documents = async (): Promise<readonly Measured[]> => {
  const value = devices()
  const xml = writeResponse('discoverDevices', value)
  const found = await inTurn(9, {
    write: async () => timed(() => writeResponse('discoverDevices', value)),
    plain: async () => timed(plainly),
    read: async () => timed(async () => readResponse('discoverDevices', xml)),
    parse: async () => timed(() => parse(xml)),
  })
  return [
    { quantity: `discoverDevices of ${groups * members} devices, written`, ours: found.write, unit: 'ms', against: 'template strings', theirs: found.plain, hold: 10, aim: 5 },
    { quantity: `discoverDevices of ${groups * members} devices, read`, ours: found.read, unit: 'ms', against: 'XML parsing alone', theirs: found.parse, hold: 2, aim: 1.5 },
  ]
}

const processes = async (): Promise<readonly Measured[]> => {
  const place = mkdtempSync(join(tmpdir(), 'bench-sra-'))
  try {
    const request = join(place, 'request.xml')
    writeFileSync(request, writeRequest({ command: 'queryInfo', outputFile: join(place, 'response.xml'), logLevel: 'verbose', connections: [], parameters: undefined }))
    const found = await inTurn(11, {
      empty: () => cpuOf([process.execPath, '-e', '0']),
      queryInfo: () => cpuOf([process.execPath, bin('sra'), '--type', 'model', '--state-directory', join(place, 'state'), request]),
    })
    return [{ quantity: 'queryInfo, whole process', ours: found.queryInfo, unit: 'ms', against: 'node -e 0', theirs: found.empty, hold: 6, aim: 4 }]
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

export const sra: Bench = {
  name: 'sra',
  says: 'documents and commands of Site Recovery Manager',
  async run() {
    return [...(await documents()), ...(await processes()), ...(await failoverOf(100, 10))]
  },
}
