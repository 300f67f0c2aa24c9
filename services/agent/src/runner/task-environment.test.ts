import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { assignedWork } from "../attempt.ts";
import { taskEnvironment } from "./task-environment.ts";

/** What a task sees of the cards that were promised to it, given their indexes in the same order. */
function seen(
  cardIds: readonly string[],
  cardIndexes: number[],
  platform: NodeJS.Platform = "linux",
  mayHaveAmd = true,
) {
  const cards = cardIds.map((cardId) => ({ cardId, vramGb: 1, exclusive: false }));
  const work = assignedWork(wire.Assignment.fromPartial({ amounts: { cards }, cardIndexes }));
  const env = taskEnvironment({ HIP_VISIBLE_DEVICES: "3" }, work, "/", platform, mayHaveAmd);
  return { cuda: env["CUDA_VISIBLE_DEVICES"], hip: env["HIP_VISIBLE_DEVICES"] };
}

describe("the cards that a task sees", () => {
  it("DESIGN-3: are told to programs of their own vendor only: both vendors count from 0", () => {
    expect(seen(["amd-0000:0a:00.0"], [0])).toEqual({ cuda: "", hip: "0" });
    expect(seen(["GPU-aaa"], [0])).toEqual({ cuda: "0", hip: "-1" });
    expect(seen(["GPU-aaa", "amd-abc", "GPU-bbb"], [0, 0, 2])).toEqual({ cuda: "0,2", hip: "0" });
  });

  it("are none without a card, said to each vendor so that it takes none", () => {
    expect(seen([], [])).toEqual({ cuda: "", hip: "-1" });
    expect(seen([], [], "win32")).toEqual({ cuda: "-1", hip: "-1" });
    expect(seen(["amd-abc"], [1], "win32")).toEqual({ cuda: "-1", hip: "1" });
  });

  it("DESIGN-3: are told to CUDA alone on a machine without AMD cards, for programs compare what both are told", () => {
    expect(seen(["GPU-aaa"], [0], "linux", false)).toEqual({ cuda: "0", hip: undefined });
    expect(seen([], [], "linux", false)).toEqual({ cuda: "", hip: undefined });
    expect(seen(["amd-abc"], [1], "linux", false)).toEqual({ cuda: "", hip: "1" });
    expect(seen(["gpu-0"], [0], "linux", false)).toEqual({ cuda: "0", hip: "0" });
  });

  it("DESIGN-3: of two vendors are refused while one's index is not known: whose the other index is cannot be told", () => {
    const cards = ["GPU-aaa", "amd-abc"].map((cardId) => ({ cardId, vramGb: 1, exclusive: false }));
    const isUnclear = (cardIndexes: number[]): boolean =>
      assignedWork(wire.Assignment.fromPartial({ amounts: { cards }, cardIndexes })).isUnclear;
    expect([isUnclear([1]), isUnclear([]), isUnclear([0, 0])]).toEqual([true, true, false]);
  });

  it("are told to both where they are declared, for nobody knows whose they are", () => {
    expect(seen(["gpu-0", "gpu-1"], [0, 1])).toEqual({ cuda: "0,1", hip: "0,1" });
  });

  it("DESIGN-3: are told without those whose index is not known", () => {
    expect(seen(["GPU-aaa", "GPU-bbb"], [1])).toEqual({ cuda: "1", hip: "-1" });
  });
});
