/** The sentences about the life of a VDI, held by the executables as well: every call is a process. The whole suite would take minutes. */
import { vdiLifeCycle } from '../kit/cases/vdi-life-cycle.ts'
import { realFileHarness, type FrontEnd } from '../kit/file-harness.ts'
import { describeConformance } from '../kit/vitest.ts'
import { fileSr, smctl } from './callers.ts'

/** What an executable cannot tell in its language, and so the sentences that it cannot hold. */
const callers: readonly { readonly name: string; readonly front: FrontEnd; readonly cannot: readonly { readonly sentence: string; readonly why: string }[] }[] = [
  { name: 'through smctl', front: smctl, cannot: [] },
  {
    name: 'through FileSR', front: fileSr,
    cannot: [
      { sentence: 'deleting can be repeated, also for a VDI that never was', why: 'it does not tell whether a call changed anything' },
      { sentence: 'every call on a VDI that is not there says so, and names the field', why: 'it names fields in words only' },
    ],
  },
]

for (const { name, front, cannot } of callers) {
  for (const { sentence } of cannot) {
    if (!vdiLifeCycle.cases.some((one) => one.name === sentence)) throw new Error(`there is no sentence ${JSON.stringify(sentence)}`)
  }
  describeConformance(realFileHarness(name, front), [{ ...vdiLifeCycle, cases: vdiLifeCycle.cases.filter((one) => !cannot.some(({ sentence }) => sentence === one.name)) }])
}
