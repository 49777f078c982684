/** The conformance suite and the crash explorer as tests of vitest (`storage-manager/testing/vitest`), for those who use it. */
export { describeCrashes, type CrashSettings } from './test/kit/crash/vitest.ts'
export { describeConformance } from './test/kit/vitest.ts'
