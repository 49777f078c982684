/** What a benchmark is: some quantities of ours, each against a floor or a peer, with where we hold and where we want to be. */
export interface Measured {
  readonly quantity: string
  readonly ours: number
  readonly unit: 'ms' | 'us' | 'MiB' | 'x'
  readonly against: string
  readonly theirs: number
  /** ours / theirs: kept on every release, and aimed at. */
  readonly hold: number
  readonly aim: number
}

/** Why a comparison could not be made; shown instead of it. */
export interface Missing {
  readonly quantity: string
  readonly missing: string
}

export interface Bench {
  readonly name: string
  readonly says: string
  run(): Promise<readonly (Measured | Missing)[]>
}
