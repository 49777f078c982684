/** The state of an image from the bytes of its file, as both opening and checking begin. */
import type { RandomAccess } from '../../core/bytes.ts'
import type { Fixed } from './fixed.ts'
import { footerLength } from './footer.ts'
import type { Sparse } from './sparse.ts'
import { headLength, judge, summaryOf, type Verdict } from './summary.ts'

interface Probe {
  readonly verdict: Verdict
  readonly head: Uint8Array
  readonly length: number
}

/** Reads and judges one page at the start and one sector at the end. Throws imageCorrupt. */
export const probe = async (file: RandomAccess): Promise<Probe> => {
  const length = await file.length()
  const [head, tail] = await Promise.all([file.read(0, headLength), file.read(Math.max(0, length - footerLength), footerLength)])
  return { verdict: judge(head, tail, length), head, length }
}

export const sparseOf = (file: RandomAccess, { verdict, head, length }: Probe, sparse: NonNullable<Verdict['sparse']>): Sparse => ({
  file, length, zeroFrom: length,
  headerAt: sparse.headerAt, header: sparse.header, footer: verdict.footer, footerAt: verdict.footerAt,
  summary: summaryOf(verdict, head), footerProblems: verdict.warnings, table: undefined, broken: false,
})

export const fixedOf = (file: RandomAccess, { verdict, head, length }: Probe): Fixed => ({
  file, footer: verdict.footer, footerAt: verdict.footerAt ?? length - footerLength, summary: summaryOf(verdict, head), footerProblems: verdict.warnings, broken: false,
})
