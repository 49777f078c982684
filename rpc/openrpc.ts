/** The OpenRPC document (spec.open-rpc.org, 1.3.2), made from the table of calls: what `rpc.discover` answers. */
import * as z from 'zod'
import { errorTable, type ErrorKind } from '../core/errors.ts'
import { commonErrors, methodNames, methodShape, type MethodName } from '../core/methods/index.ts'
import { TaskInfo } from '../core/methods/service.ts'
import { AttachmentInfo, Changed, ErrorReportWire, FindingInfo, LockInfo, SrInfo, SrScanInfo, SrStatInfo, VdiInfo } from '../core/methods/wire.ts'
import { CallEnvelope } from './envelope.ts'
import { rpcCode } from './faults.ts'
import { frontMethodNames, frontMethods } from './front-methods.ts'
import { sampleOf, type JsonSchema } from './samples.ts'

/** Results that several calls share, or that are worth a name in generated code. */
const shared: Readonly<Record<string, z.ZodType>> = {
  ErrorReport: ErrorReportWire(), LockInfo: LockInfo(), VdiInfo: VdiInfo(), SrInfo: SrInfo(), SrStatInfo: SrStatInfo(), SrScanInfo: SrScanInfo(),
  AttachmentInfo: AttachmentInfo(), Changed: Changed(), FindingInfo: FindingInfo(), TaskInfo: TaskInfo(),
}
const nameOf = new Map<unknown, string>(Object.entries(shared).map(([name, schema]) => [schema, name]))

/** OpenRPC speaks draft 7. Shared schemas become references, everywhere but at the top of their own definition. */
const schemaOf = (schema: z.ZodType, io: 'input' | 'output', own = false): JsonSchema => {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    target: 'draft-7', io, unrepresentable: 'any',
    override({ zodSchema, jsonSchema, path }) {
      const name = nameOf.get(zodSchema)
      if (name === undefined || (own && path.length === 0)) return
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      jsonSchema.$ref = `#/components/schemas/${name}`
    },
  })
  return made as JsonSchema
}

const paramsOf = (params: z.ZodObject) => {
  const { properties = {}, required = [] } = schemaOf(params, 'input')
  return Object.entries(properties).map(([name, schema]) => ({
    name, required: required.includes(name), schema,
    ...(typeof schema['description'] === 'string' ? { description: schema['description'] } : {}),
  }))
}

/** One example with what must be given; all of it taken from the schemas, so it is as right as they are. */
const exampleOf = (name: string, params: ReturnType<typeof paramsOf>, result: JsonSchema, components: Readonly<Record<string, JsonSchema>>) => ({
  name,
  params: params.filter((param) => param.required).map((param) => ({ name: param.name, value: sampleOf(param.schema, components) })),
  result: { name: 'result', value: sampleOf(result, components) },
})

interface Row {
  readonly name: string
  readonly doc: string
  readonly params: z.ZodObject
  readonly result: z.ZodType
  readonly errors: readonly ErrorKind[]
  readonly extensions: Readonly<Record<`x-${string}`, unknown>>
}

const storageRow = (name: MethodName): Row => {
  const { doc, params, result, errors, effect, repeat, lock, feature, long, deadlineMs } = methodShape(name)
  return {
    name, doc, params, result,
    errors: [...new Set([...errors, ...commonErrors])],
    extensions: {
      'x-effect': effect, 'x-repeat': repeat, 'x-lock': lock, 'x-deadline-ms': deadlineMs,
      ...(feature === undefined ? {} : { 'x-feature': feature }),
      ...(long === undefined ? {} : { 'x-long': true }),
    },
  }
}

const notifications = [
  { name: 'event', doc: 'After events.subscribe: an SR or VDI was changed, or a task went on', params: { event: 'changed or task', at: 'ISO 8601, UTC', '...': 'method, sr_uuid, vdi_uuid and call_id of the call, or the task' } },
  { name: 'events.lost', doc: 'The peer read too slowly and has missed events: look at the state again', params: { lost: 'how many' } },
  { name: 'call.progress', doc: 'A running call that was asked for it in x-call tells how far it is', params: { id: 'of the request', done: 'in the same unit as total', total: 'of the whole' } },
] as const

export const openrpcDocument = (version: string): Readonly<Record<string, unknown>> => {
  const schemas = Object.fromEntries(Object.entries(shared).map(([name, schema]) => [name, schemaOf(schema, 'output', true)]))
  const kinds = Object.keys(errorTable) as ErrorKind[]
  const rows: readonly Row[] = [
    ...methodNames.map(storageRow),
    ...frontMethodNames.map((name): Row => ({ name, ...frontMethods[name], errors: ['invalidArgument', ...(frontMethods[name].needsStream ? (['notSupported'] as const) : [])], extensions: { 'x-stream-only': frontMethods[name].needsStream } })),
  ]
  return {
    openrpc: '1.3.2',
    info: {
      title: 'Storage Manager',
      description: 'Storage repositories and virtual disks behind one contract. Sizes are bytes; times are ISO 8601 in UTC. The data of every error is an ErrorReport.',
      version,
      license: { name: 'Apache-2.0' },
    },
    methods: rows.map(({ name, doc, params, result, errors, extensions }) => {
      const described = paramsOf(params)
      const schema = schemaOf(result, 'output')
      return {
        name, summary: doc, paramStructure: 'by-name', params: described,
        result: { name: 'result', schema },
        errors: errors.map((kind) => ({ $ref: `#/components/errors/${kind}` })),
        examples: [exampleOf(name, described, schema, schemas)],
        ...extensions,
      }
    }),
    components: {
      schemas,
      errors: Object.fromEntries(kinds.map((kind) => [kind, { code: rpcCode(kind), message: errorTable[kind].says, data: { kind, code: errorTable[kind].code, errno: errorTable[kind].errno, retry: errorTable[kind].retry } }])),
    },
    'x-call': { description: 'Optional member of every request object, beside params', schema: schemaOf(CallEnvelope, 'input') },
    'x-notifications': notifications,
  }
}
