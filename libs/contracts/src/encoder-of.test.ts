import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encoderOf } from "./encoder-of.ts";
import * as wire from "./gen/index.ts";

const labels = fc.dictionary(fc.string({ maxLength: 9 }), fc.string({ maxLength: 300 }), { maxKeys: 5 });

describe("an encoder of one kind of messages", () => {
  it("writes each as a writer of its own would, and changes none that it has written before", () => {
    fc.assert(
      fc.property(fc.array(labels, { maxLength: 12 }), (all) => {
        const encode = encoderOf(wire.AgentCapacity);
        const messages = all.map((each) => wire.AgentCapacity.fromPartial({ agentId: "a", labels: each }));
        const bytes = messages.map(encode);
        expect(bytes).toEqual(messages.map((message) => wire.AgentCapacity.encode(message).finish()));
      }),
    );
  });

  it("goes on after a message that cannot be written, without what it had written of it", () => {
    const encode = encoderOf(wire.AgentCapacity);
    const broken = { ...wire.AgentCapacity.fromPartial({ agentId: "a", hostname: "desk" }), gpus: [null] };
    expect(() => encode(broken as unknown as wire.AgentCapacity)).toThrow();
    const next = wire.AgentCapacity.fromPartial({ agentId: "b" });
    expect(encode(next)).toEqual(wire.AgentCapacity.encode(next).finish());
  });
});
