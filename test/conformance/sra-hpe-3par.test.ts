/** SRM played on the 3PAR-class driver and simulated arrays: sync and restore at the source, reverse at the new source, WWNs, groups only. */
import { hpe3parPlay } from '../kit/sra/hpe-3par.ts'
import { playSuite } from '../kit/sra/suite.ts'

playSuite('on 3PAR-class arrays', hpe3parPlay, 120_000)
