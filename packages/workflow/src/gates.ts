/**
 * Changes of the engine's own behaviour that a journal can notice. Each has a number, its story, and is recorded as a
 * bit of `Started.gates`: a run goes on under the behaviour that it was begun with.
 *
 * None yet: 0 is the behaviour of journal version 1.
 */
export const currentGates = 0
