import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { assignedWork } from "../attempt.ts";
import { CudaCount } from "../sampling/nvidia/cuda-count.ts";
import { taskEnvironment } from "./task-environment.ts";

/** What a task sees of the cards that were promised to it, given their indexes in the same order. */
function seen(
  cardIds: readonly string[],
  cardIndexes: number[],
  platform: NodeJS.Platform = "linux",
  mayHaveAmd = true,
  cudaCount = new CudaCount(),
) {
  const cards = cardIds.map((cardId) => ({ cardId, vramGb: 1, exclusive: false }));
  const work = assignedWork(wire.Assignment.fromPartial({ amounts: { cards }, cardIndexes }));
  const env = taskEnvironment({ HIP_VISIBLE_DEVICES: "3" }, work, "/", platform, mayHaveAmd, cudaCount);
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

  it("DESIGN-3: are told to CUDA by their UUIDs where it does not count them as their driver does", () => {
    const cudaCount = new CudaCount();
    cudaCount.cardsRead([{ index: 0 }, { index: 1, isOutOfCount: true }, { index: 2 }]);
    const cuda = (cardIds: readonly string[], indexes: number[]): string | undefined =>
      seen(cardIds, indexes, "linux", true, cudaCount).cuda;
    expect(cuda(["GPU-aaa"], [0])).toBe("0");
    expect(cuda(["GPU-ccc"], [2])).toBe("GPU-ccc");
    // CUDA reads one kind of name in a list.
    expect(cuda(["GPU-aaa", "amd-abc", "GPU-ccc"], [0, 0, 2])).toBe("GPU-aaa,GPU-ccc");
    // One has no UUID.
    expect(cuda(["gpu-2"], [2])).toBe("2");
    // With an index missing it is open whose the others are.
    expect(cuda(["GPU-aaa", "GPU-ccc", "GPU-ddd"], [2, 3])).toBe("GPU-aaa");
  });

  it("DESIGN-3: are not counted within those that the agent itself was shown", () => {
    const own = { ROCR_VISIBLE_DEVICES: "1", GPU_DEVICE_ORDINAL: "1", PATH: "/bin" };
    const work = assignedWork(wire.Assignment.fromPartial({ command: { env: { GPU_DEVICE_ORDINAL: "0" } } }));
    const env = taskEnvironment(own, work, "/");
    expect([env["ROCR_VISIBLE_DEVICES"], env["GPU_DEVICE_ORDINAL"], env["PATH"]]).toEqual([undefined, "0", "/bin"]);
  });

  it("are told to both where they are declared, for nobody knows whose they are", () => {
    expect(seen(["gpu-0", "gpu-1"], [0, 1])).toEqual({ cuda: "0,1", hip: "0,1" });
  });

  it("DESIGN-3: are told without those whose index is not known", () => {
    expect(seen(["GPU-aaa", "GPU-bbb"], [1])).toEqual({ cuda: "1", hip: "-1" });
  });
});
