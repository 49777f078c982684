/**
 * What a lab suite is: data with functions in it. The same file is imported twice: by the host for its needs and its host
 * cases, and, bundled to JavaScript, by the guest for its cases. So it imports at top level only what both can load, and
 * reaches the host's machinery through the argument of its host cases.
 */
import type { Guest } from './guest.ts'

/** Runs in the guest. It fails by throwing. */
export interface LabCase {
  readonly name: string
  run(): Promise<void>
  /** Milliseconds; 600 s when absent: a busy machine can be ten times slower than an idle one. A case that does not end fails, and the rest of its suite is not run. */
  readonly timeoutMs?: number
  /** Why it cannot run; it is then shown as skipped. */
  readonly skip?: string
}

export interface EntryContext {
  readonly args: readonly string[]
  /** Appends a line to the acknowledge log of the share and returns when the host has it: a power cut cannot undo it. */
  ack(line: string): void
}
/** A function of the guest that the host calls by name; its answer comes back as JSON. */
export type Entry = (context: EntryContext) => Promise<unknown>

export interface CutPlan {
  /** Entry that works for ever and acknowledges each finished step. */
  readonly workload: string
  /** Entry that is called after the reboot; throws when an acknowledged step is not there. `args` are the acknowledged lines. */
  readonly check: string
  readonly cuts: number
  /** The cut comes at a random time between these, counted from the first acknowledged step (ms); 0 to 3000 when absent. */
  readonly between?: readonly [number, number]
  /** Acknowledged steps that must exist before the power is cut; 1 when absent. */
  readonly atLeast?: number
  readonly guest?: Guest
}

/** What a host case gets. */
export interface LabHost {
  /** One (lab-a) or two (lab-a 10.77.0.1, lab-b 10.77.0.2), as the suite asked. Cases run in the first. */
  readonly guests: readonly [Guest, ...Guest[]]
  /** Calls an entry of this suite in a guest (the first when absent) and answers what it returned. */
  call(entry: string, options?: { readonly guest?: Guest; readonly args?: readonly string[]; readonly timeoutMs?: number }): Promise<unknown>
  /** Cuts power while a workload acknowledges its steps, boots, checks; again and again with the same disks. */
  cutAndCheck(plan: CutPlan): Promise<{ readonly cuts: number; readonly acknowledged: number }>
  say(line: string): void
}

/** Runs on the host, after the guest cases. It fails by throwing. */
export interface HostCase {
  readonly name: string
  run(lab: LabHost): Promise<void>
}

export interface LabSuite {
  /** As the file is called: `<name>.lab.ts`. */
  readonly name: string
  /** The SR type it is about, for the table; `lab` for the lab's own. */
  readonly driver: string
  /** Bytes of each scratch disk of each guest. */
  readonly disks?: readonly number[]
  readonly guests?: 1 | 2
  readonly memoryMiB?: number
  /** vCPUs a guest; 1 when absent: most suites run one tool after another, and a second suite makes better use of the second core. */
  readonly cpus?: number
  /** About how long it takes on a quiet machine with a core for each of its vCPUs: the longest are begun first. */
  readonly seconds?: number
  /** Why it runs only when it is named: for a suite whose cases have passed one by one, but never yet all in one run. */
  readonly onlyByName?: string
  /** It gets along with other suites in one guest: it leaves nothing behind and expects nothing but its disks, blank. */
  readonly shared?: boolean
  /** A function is called in the guest only: for conformance suites that build their cases from a harness. */
  readonly cases?: readonly LabCase[] | (() => Promise<readonly LabCase[]>)
  readonly entries?: Readonly<Record<string, Entry>>
  readonly host?: readonly HostCase[]
}

export const suite = (definition: LabSuite): LabSuite => definition

/** Whether a case is meant by `filter`: texts with bars between them, of which its name must hold one. */
export const isWanted = (name: string, filter: string): boolean => filter.split('|').some((text) => name.includes(text))

/** What is known of one case when it has ended. */
export interface CaseResult {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  readonly error?: string
  /** Why it was not run, on purpose. */
  readonly skipped?: string
}
