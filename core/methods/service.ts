/** Tasks, drivers and the service itself: calls that concern no single SR. */
import * as z from 'zod'
import { features, srOperationNames } from '../contract.ts'
import { lazily } from '../lazily.ts'
import { method, seconds } from './define.ts'
import { ErrorReportWire, Time } from './wire.ts'

const task = z.uuid().meta({ description: 'The task', examples: ['0f8fad5b-d9cb-469f-a165-70867728950e'] })
const example = '0f8fad5b-d9cb-469f-a165-70867728950e'

export const TaskInfo = lazily(() => z.strictObject({
  task,
  method: z.string(),
  state: z.enum(['running', 'cancelling', 'finished', 'failed', 'cancelled']),
  progress: z.strictObject({ done: z.number(), total: z.number() }).optional(),
  started: Time,
  ended: Time.optional(),
  result: z.unknown().optional(),
  error: ErrorReportWire().optional(),
}))
export type TaskInfo = z.infer<ReturnType<typeof TaskInfo>>

const service = { effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 10 * seconds } as const

export const serviceMethods = {
  'Task.start': method({
    ...service, effect: 'write', repeat: 'fails',
    doc: 'Starts any call in the background and answers at once with the task that runs it.',
    params: () => z.strictObject({
      method: z.string().max(64).meta({ description: 'The call to run', examples: ['SR.collect'] }),
      params: z.record(z.string(), z.unknown()).default({}).meta({ description: 'Its parameters' }),
    }),
    result: () => z.strictObject({ task }), errors: ['limitExceeded'],
    cli: { noun: 'task', verb: 'start', positionals: ['method'], examples: [`smctl task start SR.collect --params '{"sr_uuid":"87b8646b-b800-9500-cb7b-af3b74e02f5c"}'`] },
  }),
  'Task.get_state': method({
    ...service,
    doc: 'Tells how far a task is and, once it has ended, its result or error.',
    params: () => z.strictObject({ task }), result: TaskInfo, errors: ['notFound'],
    cli: { noun: 'task', verb: 'show', positionals: ['task'], examples: [`smctl task show ${example}`] },
  }),
  'Task.wait': method({
    ...service,
    doc: 'Waits until a task has ended, at most so many seconds, and tells its state.',
    params: () => z.strictObject({ task, timeout_seconds: z.number().positive().max(3600).default(60).meta({ description: 'Give up waiting after so long' }) }),
    result: TaskInfo, errors: ['notFound'], deadlineMs: 3700 * seconds, long: true,
    cli: { noun: 'task', verb: 'wait', positionals: ['task'], examples: [`smctl task wait ${example}`] },
  }),
  'Task.list': method({
    ...service,
    doc: 'Lists running tasks and those that ended lately.',
    params: () => z.strictObject({}), result: () => z.strictObject({ tasks: z.array(TaskInfo()) }), errors: [],
    cli: { noun: 'task', verb: 'list', positionals: [], examples: ['smctl task list'] },
  }),
  'Task.cancel': method({
    ...service, effect: 'write',
    doc: 'Asks a task to stop; it ends as cancelled, or as finished when it was too late.',
    params: () => z.strictObject({ task }), result: TaskInfo, errors: ['notFound'],
    cli: { noun: 'task', verb: 'cancel', positionals: ['task'], examples: [`smctl task cancel ${example}`] },
  }),
  'Task.destroy': method({
    ...service, effect: 'write',
    doc: 'Forgets an ended task.',
    params: () => z.strictObject({ task }), result: () => z.strictObject({ changed: z.boolean() }), errors: ['busy'],
    cli: { noun: 'task', verb: 'destroy', positionals: ['task'], examples: [`smctl task destroy ${example}`] },
  }),
  'Driver.list': method({
    ...service,
    doc: 'Lists the SR types with their features, limits, tools and dconf keys.',
    params: () => z.strictObject({}),
    result: () => z.strictObject({
      drivers: z.array(z.strictObject({
        type: z.string(), executable: z.string(), title: z.string(), summary: z.string(), contract: z.int(),
        features: z.array(z.enum(features)), sr_operations: z.array(z.enum(srOperationNames)),
        content_type: z.string(), shared: z.boolean(),
        min_vdi_size: z.int(), max_vdi_size: z.int(), size_step: z.int(), max_chain: z.int().optional(),
        tools: z.array(z.strictObject({ name: z.string(), debian_package: z.string(), needed_for: z.string() })),
        dconf: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of the device_config' }),
        example: z.record(z.string(), z.string()),
      })),
    }),
    errors: [],
    cli: { noun: 'driver', verb: 'list', positionals: [], examples: ['smctl driver list', 'smctl driver list --json'] },
  }),
  'Host.status': method({
    ...service,
    doc: 'Tells version, process and state directory of the storage manager that answers.',
    params: () => z.strictObject({}),
    result: () => z.strictObject({
      version: z.string(), contract: z.int(), host: z.string(), pid: z.int(), started: Time, state_directory: z.string(),
      running_calls: z.int(), srs: z.int(), attached_srs: z.int(),
    }),
    errors: [],
    cli: { noun: 'host', verb: 'status', positionals: [], examples: ['smctl host status'] },
  }),
} as const
