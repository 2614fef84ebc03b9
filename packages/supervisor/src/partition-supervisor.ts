import type { Behavior } from '@daruma/actors'
import { AppError, hash32 } from '@daruma/protocol'
import type { ChildSpec, ChildTemplate } from './child-spec.ts'
import type { SupervisorMessage } from './messages.ts'
import type { Intensity } from './restart.ts'
import type { SupervisorRun } from './supervisor.ts'
import { supervisor } from './supervisor.ts'

export interface PartitionSupervisorSpec<A = undefined> {
  /** Partition 3 is registered as `name/3`. */
  readonly name: string
  readonly partitions: number
  /** One of these runs per partition: a worker, or a supervisor of more. */
  readonly child: ChildTemplate<A>
  /** What the child of a partition is started with. */
  readonly argsOf?: (partition: number) => NoInfer<A>
  /** Default 3 in 5,000 ms. */
  readonly intensity?: Intensity
  readonly periodMs?: number
}

/**
 * The same child once per partition, so that work which shares nothing does not queue behind one process. A key always
 * goes to the same partition, whose process may change when it is restarted: address it by `partitionName`.
 *
 * Partitions start in order and are restarted one for one. Child ids are `0`, `1`, ...
 *
 * @throws AppError invalid - the number of partitions, or the child
 * @source Elixir PartitionSupervisor; docs/semantics-supervisor.md
 */
export function partitionSupervisor<A = undefined>(
  spec: PartitionSupervisorSpec<A>,
): Behavior<SupervisorMessage, SupervisorRun> {
  const { name, partitions, child, argsOf, intensity = 3, periodMs = 5_000 } = spec
  if (!Number.isSafeInteger(partitions) || partitions < 1) {
    throw new AppError(
      'invalid',
      `a partition supervisor needs a whole number of partitions from 1, found ${partitions}`,
    )
  }
  const children = Array.from({ length: partitions }, (_, partition): ChildSpec<A> => ({
    ...child,
    id: String(partition),
    name: `${name}/${partition}`,
    ...(argsOf === undefined ? {} : { args: argsOf(partition) }),
  }))
  return supervisor({ intensity, periodMs, children })
}

/**
 * The partition of a key, from 0: a whole number by its remainder, everything else by a hash of its text. Stable for
 * ever, as long as the number of partitions is.
 */
export function partitionOf(key: string | number, partitions: number): number {
  if (typeof key === 'number' && Number.isSafeInteger(key)) return Math.abs(key) % partitions
  return hash32(String(key)) % partitions
}

/** The registered name of whoever serves `key` at present. */
export function partitionName(name: string, key: string | number, partitions: number): string {
  return `${name}/${partitionOf(key, partitions)}`
}
