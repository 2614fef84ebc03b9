import type { MailboxFull } from './actor.ts'
import { IncomingCall } from './call.ts'
import { NoticeBase, Special } from './notice.ts'
import type { MailboxOptions } from './options.ts'
import type { Process } from './process.ts'
import { Tick } from './timer.ts'

/** What becomes of a message at a mailbox with a limit: it gets in, it was dropped, or its sender has it back. */
export type Admission = 'admitted' | 'dropped' | MailboxFull

/** Makes room in a full mailbox, or finds that there is none. Notices neither count nor are ever dropped. */
export function admit(process: Process, bound: MailboxOptions, message: unknown): Admission {
  if (process.length - process.notices < bound.limit) return 'admitted'
  switch (bound.overflow) {
    case 'drop_oldest': {
      const oldest = process.take((item) => !(item instanceof NoticeBase))
      if (oldest !== undefined) discard(process, bound, oldest.item)
      process.body?.rescan()
      return 'admitted'
    }
    case 'drop_newest':
      discard(process, bound, message)
      return 'dropped'
    default:
      return { kind: 'mailbox_full', to: process.pid, message: visible(message), limit: bound.limit }
  }
}

function discard(process: Process, bound: MailboxOptions, item: unknown): void {
  if (item instanceof IncomingCall) item.refuse(bound.limit)
  if (item instanceof Tick) item.taken()
  process.kernel.deadLetter(process.pid, visible(item), 'mailbox_full')
}

function visible(item: unknown): unknown {
  return item instanceof Special ? item.visible() : item
}
