export { Connection, connectNats } from './connection.ts'
export { Requester } from './requester.ts'
export { escapeToken, namesOf, unescapeToken, type Names } from './subjects.ts'
export { whyNot, type ServerFacts, type SyncEvidence } from './durability.ts'
export {
  differencesOf,
  ensureStream,
  logStream,
  inboxStream,
  leaseStream,
  snapshotStream,
  type StreamShape,
} from './streams.ts'
export {
  decideMembership,
  isCurrent,
  newMembership,
  type Decision,
  type Member,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
} from './membership.ts'
export { eachMessage, FrameWriter, parseFrame, type Frame } from './frames.ts'
export { Incoming } from './incoming.ts'
export { Outgoing } from './outgoing.ts'
