/** The whole suite through the daemon as it is built: every case has a process of its own behind the socket. */
import { realFileHarness } from '../kit/file-harness.ts'
import { describeConformance } from '../kit/vitest.ts'
import { smd } from './callers.ts'

describeConformance(realFileHarness('through the daemon', smd))
