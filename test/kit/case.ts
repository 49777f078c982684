/**
 * What the conformance suite is made of, as data and without a test framework: the same cases run under vitest (vitest.ts)
 * and from a plain loop inside a bare guest (run.ts). An author of a driver writes one `Harness`.
 */
import type { Caller } from '../../core/caller.ts'
import type { DeviceConfig, DriverDescriptor, Feature, SrOperation } from '../../core/contract.ts'
import type { Result } from '../../core/methods/index.ts'
import type { Stage } from './stage.ts'

/** One running process of the storage manager: an engine in this process, or a client with a server behind it. */
export interface Session extends Caller {
  close(): Promise<void>
}

/** An attached VDI as its guest sees it: bytes of the virtual disk, whatever the image format. */
export interface Disk {
  read(offset: number, length: number): Promise<Uint8Array>
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** What was written survives a power cut from here on. */
  close(): Promise<void>
}

export interface StartOptions {
  /** `second`: another host on the same storage. */
  readonly host?: 'first' | 'second'
  /** `lost`: an empty state directory, as after the host was installed anew. */
  readonly memory?: 'kept' | 'lost'
}

/** What a harness can do to the place beyond the calls. Each is optional; what is absent skips the cases that need it. */
export interface Trouble {
  /** Puts something that is no SR into the blank place. */
  occupy?(): Promise<void>
  /** Makes the image of a VDI unreadable; the rest of the SR stays as it is. */
  damage?(sr: string, vdi: string): Promise<void>
  /** Takes the place away (unmounted, unplugged, server down); answers what brings it back. */
  vanish?(): Promise<() => Promise<void>>
  /** Leaves less than `bytes` free in the place; answers what frees it again. */
  fill?(bytes: number): Promise<() => Promise<void>>
}

/** One blank place for one SR, and hosts that reach it. Every case gets a fresh one. */
export interface World<S extends Session = Session> {
  /** Reaches the place; complete, so that SR.create (or SR.introduce) accepts it. */
  readonly deviceConfig: DeviceConfig
  /** Values in `deviceConfig` that must never be seen again in an answer, an error or a log line. */
  readonly secrets?: readonly string[]
  /** Starts a process; several may run at once on one host, as smctl beside the daemon does. */
  start(options?: StartOptions): Promise<S>
  /** Opens what VDI.attach answered on the first host. */
  disk(attachment: Result<'VDI.attach'>): Promise<Disk>
  /** Everything there is on the substrate and on the hosts because of the SR (files, volumes, mounts, sessions), a line each: compared before and after. */
  inventory(): Promise<readonly string[]>
  /** All that was logged so far. */
  logged?(): string
  /** Lets time pass: a model moves its clock, a real world waits. */
  pass(ms: number): Promise<void>
  /** Ends all processes of the first host as a power cut does, and boots it again. */
  reboot?(): Promise<void>
  readonly trouble?: Trouble
  dispose(): Promise<void>
}

export type WorldOption = 'second host' | 'reboot' | 'occupy' | 'damage' | 'vanish' | 'fill' | 'secrets'

/**
 * What storage that is not ours to write to (the LUNs of an array) cannot keep. `identity`: the SR's uuid is the caller's word, and
 * creating it registers what is there. `lock text`: of a lock only a digest of its owner is kept, and no time at which it ends.
 */
export type Lack = 'identity' | 'lock text'

export interface Harness<S extends Session = Session> {
  /** Shown in test names; the driver's type when absent. */
  readonly name?: string
  readonly driver: DriverDescriptor
  /** What an SR of this world offers, when that is less than its type can (an array without a licence). */
  readonly features?: readonly Feature[]
  /** What `world` can do beyond what must be there. */
  readonly options: readonly WorldOption[]
  readonly lacks?: readonly Lack[]
  /** Bytes that cases ask for when they make a VDI, at least 1 MiB; 4 MiB, rounded as the driver needs it, when absent. */
  readonly vdiSize?: number
  readonly world: () => Promise<World<S>>
}

export interface Case {
  /** A sentence about behaviour. */
  readonly name: string
  readonly needs?: readonly Feature[]
  readonly needsSr?: readonly SrOperation[]
  readonly needsWorld?: readonly WorldOption[]
  /** Skipped where the storage lacks it. */
  readonly reliesOn?: readonly Lack[]
  /** Only for drivers that state a chain limit small enough to be reached. */
  readonly needsChainLimit?: true
  /** The answer is made before a driver is asked: real storage cannot change it, so only worlds in memory are asked. */
  readonly decidedBy?: 'engine'
  /** The place is not as it was before, on purpose: no clean-up and no leak check. */
  readonly leavesDamage?: true
  run(stage: Stage): Promise<void>
}

export interface Topic {
  readonly topic: string
  readonly cases: readonly Case[]
}
