import { AppError, isAppError } from '@daruma/protocol'
import type { PartitionRequest } from './requests.ts'

/** What engines of one task queue ask of each other. Plain data, and so are the answers. */
export type ForwardedRequest =
  | { readonly kind: 'submit'; readonly request: PartitionRequest }
  | { readonly kind: 'ended'; readonly workflowId: string }
  | { readonly kind: 'describe'; readonly workflowId: string }
  | { readonly kind: 'history'; readonly workflowId: string }
  | { readonly kind: 'query'; readonly workflowId: string; readonly name: string; readonly args: readonly unknown[] }
  /** Gives a partition to a node that owns only so many. */
  | { readonly kind: 'yield'; readonly partition: string; readonly owned: number }

/**
 * The way to the engine of a task queue on another node, whose `answer` is given the request. The composition's affair:
 * this package knows no network. Rejects with what `answer` threw, or with AppError unavailable when the node cannot be
 * reached; with `details.notDone` if it surely was not done.
 */
export type Forward = (node: string, taskQueue: string, request: ForwardedRequest) => Promise<unknown>

/** Asked of a node that does not own it, or not any more: ask the owner. */
export function notOwner(what: string, holder: string | undefined): AppError {
  return new AppError(
    'unavailable',
    `${what} is owned by ${holder ?? 'nobody yet'}`,
    { notDone: true },
    { retryable: true },
  )
}

export function isSurelyNotDone(error: unknown): boolean {
  return isAppError(error, 'unavailable') && (error.details as { notDone?: unknown } | undefined)?.notDone === true
}

/** Whether the same request again meets the first, so that an answer that was lost may be asked for once more. */
export function isRepeatable(request: ForwardedRequest): boolean {
  if (request.kind !== 'submit') return request.kind !== 'yield'
  const { request: asked } = request
  switch (asked.kind) {
    case 'start':
      return asked.requestId !== undefined || asked.conflict === 'use_existing'
    case 'message':
      return asked.message.messageId !== undefined
    default:
      return true
  }
}

/** Anything that came over a wire, as a request; undefined: it is none. The partition checks what is within. */
export function forwardedRequest(input: unknown): ForwardedRequest | undefined {
  if (typeof input !== 'object' || input === null) return undefined
  const request = input as ForwardedRequest
  switch (request.kind) {
    case 'submit': {
      const { request: asked } = request
      return typeof asked === 'object' && asked !== null && typeof asked.workflowId === 'string' ? request : undefined
    }
    case 'ended':
    case 'describe':
    case 'history':
      return typeof request.workflowId === 'string' ? request : undefined
    case 'query':
      return typeof request.workflowId === 'string' && typeof request.name === 'string' && Array.isArray(request.args)
        ? request
        : undefined
    case 'yield':
      return typeof request.partition === 'string' && typeof request.owned === 'number' ? request : undefined
    default:
      return undefined
  }
}
