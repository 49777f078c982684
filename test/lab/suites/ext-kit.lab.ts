/** The conformance kit on an ext SR of the guest's own kernel. */
import { conformanceCases } from '../conformance.ts'
import { extHarness } from '../fixtures/image-worlds.ts'
import { suite } from '../suite.ts'

export default suite({
  name: 'ext-kit',
  driver: 'ext',
  seconds: 120,
  cases: async () => conformanceCases(extHarness, { usual: { draw: 12, topics: ['SR life cycle', 'attach and detach', 'VDI locks', 'trouble'] } }),
})
