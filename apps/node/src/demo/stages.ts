/** Where a life of the node ends. Each is a moment that a durable system must survive. */
export type KillPoint =
  /** The start was asked for; nothing of it is stored, nobody was told that it is. */
  | { readonly kind: 'before_first_commit' }
  /** The function did its work in the world outside; the journal does not know. */
  | { readonly kind: 'before_commit_of'; readonly target: string }
  | { readonly kind: 'in_sleep' }
  | { readonly kind: 'waiting_for_message' }
  /** The child's end is stored; its parent has not heard of it. */
  | { readonly kind: 'before_parent_hears'; readonly child: string }

export interface Stage {
  readonly title: string
  readonly order: string
  readonly type: string
  readonly args: readonly unknown[]
  readonly kill: KillPoint
  readonly killWords: string
  /** Sent when the node is back. */
  readonly signal?: { readonly topic: string; readonly payload: readonly unknown[] }
  readonly expected: { readonly result: unknown } | { readonly error: string }
  /** Function calls that the order must make, each recorded once. */
  readonly calls: readonly string[]
}

const workflow = (name: string): string => `app.workflows:${name}`

export const stages: readonly Stage[] = [
  {
    title: 'A payment, killed before anything of it is stored',
    order: 'payment-1',
    type: workflow('payment'),
    args: [{ id: 'bounce-1', amount: 42 }],
    kill: { kind: 'before_first_commit' },
    killWords: 'the start was asked for, nothing is stored, nobody was told that it is',
    expected: { result: null },
    calls: ['app.api:charge_card', 'app.api:check_status', 'app.api:refund'],
  },
  {
    title: 'A payment, killed after the card was charged and before the journal knew',
    order: 'payment-2',
    type: workflow('payment'),
    args: [{ id: 'bounce-2', amount: 42 }],
    kill: { kind: 'before_commit_of', target: 'app.api:charge_card' },
    killWords: 'the card is charged, and the journal does not know',
    expected: { result: null },
    calls: ['app.api:charge_card', 'app.api:check_status', 'app.api:refund'],
  },
  {
    title: 'A payment, killed while it sleeps for 24 hours',
    order: 'payment-3',
    type: workflow('payment'),
    args: [{ id: 'settles-3', amount: 42 }],
    kill: { kind: 'in_sleep' },
    killWords: 'it slept; the timer was in memory, its instant is in the journal',
    expected: { result: null },
    calls: ['app.api:charge_card', 'app.api:check_status'],
  },
  {
    title: 'A saga that fails at its last step, killed in the middle of undoing',
    order: 'saga-4',
    type: workflow('saga'),
    args: [['daruma', 'brush'], 42, { id: 'saga-4', country: 'atlantis' }],
    kill: { kind: 'before_commit_of', target: 'app.payments:refund' },
    killWords: 'the money is back, the journal does not know, the goods are still reserved',
    expected: { error: 'no carrier goes to atlantis' },
    calls: [
      'app.inventory:reserve',
      'app.payments:charge',
      'app.shipping:create',
      'app.payments:refund',
      'app.inventory:release',
    ],
  },
  {
    title: 'An approval, killed while it waits for somebody to decide',
    order: 'approval-5',
    type: workflow('approval'),
    args: [{ order_id: 'approval-5' }],
    kill: { kind: 'waiting_for_message' },
    killWords: 'it waited for a message that nobody had sent yet',
    signal: { topic: 'decision', payload: [{ approved: true }] },
    expected: { result: null },
    calls: ['app.approvals:submit', 'app.orders:fulfill'],
  },
  {
    title: 'An order of two parcels, killed between the end of a child and the news of it',
    order: 'parcels-6',
    type: workflow('parcels'),
    args: [{ id: 'parcels-6', parcels: ['left', 'right'] }],
    kill: { kind: 'before_parent_hears', child: workflow('parcel') },
    killWords: 'the child has ended, its parent does not know',
    expected: { result: { order: 'parcels-6', shipped: ['ship_parcels-6-left', 'ship_parcels-6-right'] } },
    calls: ['app.shipping:create', 'app.shipping:create'],
  },
]
