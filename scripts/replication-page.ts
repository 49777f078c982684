/** docs/replication.md: ten minutes for whoever manages disaster recovery; tables and drawing come from the state machine itself. */
import { errorTable } from '../core/errors.ts'
import { operationRules, pairRows, remedies, replicationOperations, stateSays, transferStates, unitStates, type UnitState } from '../core/replication/states.ts'

type Table = (head: readonly string[], rows: readonly (readonly string[])[]) => string

/** Which state an operation leads to, for the drawing. What it may start from is asked of the rules. */
const leadsTo: Readonly<Record<string, { readonly from: readonly UnitState[]; readonly to: UnitState }>> = {
  'pause': { from: ['protected'], to: 'paused' },
  'resume': { from: ['paused', 'interrupted'], to: 'protected' },
  'sync': { from: ['initialSync', 'lagging'], to: 'protected' },
  'prepare-failover': { from: ['protected'], to: 'prepared' },
  'failover (planned)': { from: ['prepared'], to: 'failedOver' },
  'failover (unplanned)': { from: ['protected', 'interrupted'], to: 'failedOver' },
  'reverse': { from: ['failedOver'], to: 'reversing' },
  'restore': { from: ['failedOver'], to: 'restoring' },
  'restore (undo)': { from: ['prepared'], to: 'protected' },
}

const drawing = (): string => [
  '```mermaid', 'stateDiagram-v2', '  [*] --> initialSync',
  ...Object.entries(leadsTo).flatMap(([name, { from, to }]) => from.map((state) => `  ${state} --> ${to}: ${name}`)),
  '  protected --> lagging: the target falls behind', '  protected --> interrupted: link or peer lost',
  '  reversing --> initialSync: roles stand, the other way round', '  restoring --> initialSync: roles stand', '```',
].join('\n')

const intro = `Two arrays, one unit (a consistency group or a single volume): one side is written, the other follows. At any time at most one side can be
written. Nothing is discarded without a plan that names the loser, and nothing is forced unless you say so.

See what there is, from both arrays where both can be reached:

    smctl array add left model directory=/srv/arrays/a
    smctl array add right model directory=/srv/arrays/b
    smctl replication list left --peer right

**Move a unit over (planned)** - nothing is lost:

    smctl replication prepare-failover left --units unit-6       # no host can write any more; replication goes on
    smctl replication sync right unit-2                          # everything written is on the other side
    smctl replication failover right --peer left --units unit-2 --initiators iscsi:iqn.2026-01.org.example:host7
    smctl replication reverse left --peer right --units unit-6   # protected again, the other way round

Before the failover \`smctl replication restore\` takes the preparation back.

**The source is dead** - what had not arrived is lost, so you see a plan first:

    smctl replication plan right unit-2 failover
    smctl replication failover right --units unit-2 --kind unplanned --operator alice --plan <token>

No answer of the source is no proof that it is dead. When its array can be reached it is fenced (all presentations taken away, and read back);
otherwise your name stands for it. When the old source comes back: \`prepare-failover\` there first, then \`reverse\` (keep the new side) or
\`restore\` (give its writes up, with a plan).

**Rehearse**: \`smctl replication start-test\` presents a writable copy; replication and source do not notice. \`stop-test\` takes it away.

**A command died half-way**: repeat it. What it was doing is written on the array before each step, so the repeat goes on where it stopped;
\`smctl replication status\` shows it as pending. Another operation is refused meanwhile, except a failover: a disaster waits for nothing.

**A copy is kept** of whatever gets overwritten or promoted (\`smctl replication points\`), until the new direction has been synchronised completely.

Where each step runs differs between arrays (\`smctl array types\`, sites). A site that reaches its own array only runs its part there:
\`prepare-reverse\` and \`prepare-restore\` are the other site's part.`

export const replicationPage = (table: Table): readonly string[] => [
  intro,
  '## States', drawing(),
  table(['state', 'meaning', 'what to do'], unitStates.map((state) => [`\`${state}\``, stateSays[state], remedies[state]])),
  '## How the state is found', 'The roles that the two arrays show, as a pair; any other pair is `needsOperator`. A test copy changes no state.',
  table(['source side', 'target side', 'state'], pairRows.map(({ source, target, state }) => [source, target, state === 'by-transfer' ? 'by the transfer, below' : `\`${state}\``])),
  table(['transfer', 'state'], Object.entries(transferStates).map(([transfer, state]) => [transfer, `\`${state}\``])),
  'An unfinished reverse or restore shows as `reversing` or `restoring` whatever the roles are.',
  '## What may be done when', 'run: it is done. done: it is so already. Otherwise the error that is answered.',
  table(['state', ...replicationOperations], unitStates.map((state) => [`\`${state}\``, ...replicationOperations.map((operation) => operationRules[operation][state])])),
  ...['peerMaybeActive', 'wouldLoseData', 'forceRequired', 'staleGeneration', 'splitBrain'].map((kind) => `- \`${kind}\`: ${errorTable[kind as keyof typeof errorTable].says}`),
]
