/** An assignment that was not answered for so long is sent again, and so is a cancellation. */
export const resendMs = 10_000;

/**
 * So long after it was given out an assignment is sent again. Each time its lease is counted anew, for its agent may take it from then on.
 * An agent that hears it and says nothing (its disk hangs) would have it for ever; after this it has it until its lease ends, as one
 * that is silent. It is twice what an agent has to accept in: after that it refuses what it could not write down, should it go on.
 */
export const resendWithinMs = 60_000;
