/** The conformance kit on the lvmthin driver and real device-mapper. */
import { MiB } from '../../../core/units.ts'
import { suite } from '../suite.ts'

export default suite({
  name: 'lvm-thin-kit',
  driver: 'lvmthin',
  onlyByName: 'its hundred sentences of a hundred commands of LVM each take half an hour in an emulated machine, and only a few have been run yet',
  disks: [256 * MiB],
  async cases() {
    const [{ conformanceCases }, { lvmLabHarness }] = await Promise.all([import('../conformance.ts'), import('../fixtures/lvm-stand.ts')])
    return conformanceCases(lvmLabHarness('lvmthin'), { usual: { draw: 10, topics: ['SR life cycle', 'snapshots and clones', 'trouble'] } })
  },
})
