/** The suite, topic by topic. */
import type { Topic } from '../case.ts'
import { vdiLifeCycle } from './vdi-life-cycle.ts'

export const topics: readonly Topic[] = [vdiLifeCycle]
