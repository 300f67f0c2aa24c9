import { sampleToWire } from "@headroom/contracts";
import { expect, test } from "vitest";
import { sampleWith } from "../test-agents.test-helper.ts";
import { readSample } from "./read-hello.ts";

test("a sample reads the same with and without the one before it", () => {
  const previous = sampleWith(16, 20_000);
  const wire = sampleToWire(sampleWith(3, 1_000));
  expect(readSample(wire, "beat.sample", previous)).toEqual(readSample(wire, "beat.sample"));
  expect(readSample(wire, "beat.sample", previous)).not.toEqual(previous);
});

test("another card in the same place is taken as it is said", () => {
  const previous = sampleWith(16);
  const swapped = { ...sampleWith(16), cards: sampleWith(16).cards.map((card) => ({ ...card, cardId: "gpu-9" })) };
  expect(readSample(sampleToWire(swapped), "beat.sample", previous)).toEqual(swapped);
  expect(readSample(sampleToWire({ ...swapped, cards: [] }), "beat.sample", previous)?.cards).toEqual([]);
});
