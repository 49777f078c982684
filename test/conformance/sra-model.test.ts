/** SRM played on the model array: sync and restore at the target, reverse at the source, a LUN per initiator group, groups and devices. */
import { modelPlay } from '../kit/sra/model.ts'
import { playSuite } from '../kit/sra/suite.ts'

playSuite('on the model array', modelPlay, 120_000)
