/** Site Recovery through the daemon: its requests are documents of their own, so there is one call for all of them. */
import * as z from 'zod'
import { method, minutes } from './define.ts'

export const siteRecoveryMethods = {
  'SiteRecovery.answer': method({
    effect: 'write', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 60 * minutes, long: true,
    doc: 'Answers one request of the Storage Replication Adapter interface 2.0, for arrays of one type; what goes wrong stands in the response.',
    params: () => z.strictObject({
      array_type: z.string().min(1).max(64).meta({ description: 'Type of the arrays, as array types lists them', examples: ['model'] }),
      request: z.string().min(1).meta({ description: 'The request, as XML' }),
      signature: z.string().max(256).default('Storage Manager Replication Adapter').meta({ description: 'Name and version of the adapter, for the first line of the log' }),
    }),
    result: () => z.strictObject({
      response: z.string().meta({ description: 'The response, as XML' }),
      log: z.array(z.string()).meta({ description: 'What was logged, at the level of the request' }),
    }),
    errors: ['notSupported', 'notFound'],
    cli: { noun: 'site-recovery', verb: 'answer', positionals: ['array_type', 'request'], examples: [`smctl site-recovery answer model "$(cat request.xml)"`] },
  }),
} as const
