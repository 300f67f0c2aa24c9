export { BoundedQueue, type BoundedQueueOptions, type WhenFull } from "./bounded-queue.ts";
export { Broadcast, LaggedError, type BroadcastOptions } from "./broadcast.ts";
export { createDeferred, createSignal, type Deferred, type WakeSignal } from "./deferred.ts";
export { OverloadedError, Semaphore } from "./semaphore.ts";
